//! Nodes that are put back so far that what they lost is in no partner's memory any more.

use interlock::exchange::wire::{ENVELOPE_LEAVES_MAX, Evidence, LogSide};
use interlock::node::io::{PeerAnswer, PeerRequest, Problem};
use interlock::node::record::Record;
use interlock_core::time::MINUTE_MS;
use interlock_journal::bilateral::RECENT_LEAVES_MAX;
use interlock_journal::evidence::FindingKind;

use crate::support::*;

const PARCELS: u64 = 26;
/// Events that each is followed by, one batch and one receipt each.
const EVENTS: u64 = 200;

struct Old {
    net: Network,
    /// Records of Cainiao's and of SF's journal at the time of the old backup.
    copies: (usize, usize),
}

/// SF has released thousands of batches to Cainiao since both were copied.
fn long_exchange(seed: u64, parcels: u64, events: u64) -> Old {
    let mut net = Network::of_june_2017(seed);
    let number = |n: u64| format!("SF{:013}", 1_000_000_000_001 + n);
    for n in 0..parcels {
        net.put_parcel(&number(n), "taobao", CAINIAO, "13800000001");
    }
    for n in 0..20 {
        net.track(SF, &number(0), &format!("early-{n}"));
    }
    let copies = (
        net.world.journal(CAINIAO).len(),
        net.world.journal(SF).len(),
    );
    for n in 0..events {
        for parcel in 0..parcels {
            net.track_now(SF, &number(parcel), &format!("step-{n}"));
            let until = net.world.now().plus_ms(100);
            net.world.run_until(until);
        }
    }
    net.world.settle();
    Old { net, copies }
}

/// Size and root of the log of `writer` toward `reader`, by the writer and by the reader.
type Heads = [(u32, u64, [u8; 32]); 2];

impl Old {
    fn heads(&self, writer: usize, reader: usize) -> Heads {
        let world = &self.net.world;
        let (w, r) = (world.id(writer).unwrap(), world.id(reader).unwrap());
        let out = &world.node(writer).unwrap().state().channel(r).unwrap().out;
        let state = world.node(reader).unwrap().state();
        let mirror = state.channel(w).unwrap().mirror.as_ref().unwrap();
        [
            (out.epoch(), out.size(), out.root()),
            (mirror.epoch(), mirror.size(), mirror.receipt().root),
        ]
    }

    fn put_back(&mut self, ix: usize, records: usize) {
        self.net.world.kill(ix);
        assert!(self.net.world.put_back(ix, records));
        assert!(self.net.world.restart(ix));
        let until = self.net.world.now().plus_ms(5 * MINUTE_MS);
        self.net.world.run_until(until);
    }

    /// Leaves that a node's journal has of a log, by epoch.
    fn leaves(&self, holder: usize, writer: usize, reader: usize) -> Vec<(u32, usize)> {
        let world = &self.net.world;
        let (writer, reader) = (world.id(writer).unwrap(), world.id(reader).unwrap());
        let logs = evidence_of(world, holder).logs;
        let of = logs
            .iter()
            .filter(|log| (&log.writer, &log.reader) == (writer, reader));
        of.map(|log| (log.epoch, log.leaves.len())).collect()
    }

    fn entries(
        &mut self,
        asked: usize,
        asks: usize,
        log: LogSide,
        epoch: u32,
        from: u64,
    ) -> Result<Evidence, Problem> {
        let id = self.net.world.id(asks).unwrap().clone();
        let request = PeerRequest::Entries {
            log,
            epoch: Some(epoch),
            from,
        };
        match self.net.world.peer_later(asked, &id, &request) {
            Some(PeerAnswer::Evidence(page)) => Ok(page),
            Some(PeerAnswer::Problem(problem)) => Err(problem),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn everything_comes_back_however_old_the_backup_is() {
    let mut old = long_exchange(410, PARCELS, EVENTS);
    // Not one event was lost on the way, or came twice: those, and the early ones.
    let state = old.net.world.node(CAINIAO).unwrap().state();
    let arrived: usize = state.parcels.iter().map(|it| it.events.len()).sum();
    assert_eq!(arrived as u64, PARCELS * EVENTS + 20);
    let [written, mirrored] = old.heads(SF, CAINIAO);
    assert_eq!(written.1, mirrored.1);
    let [receipts, _] = old.heads(CAINIAO, SF);
    assert!(written.1 > ENVELOPE_LEAVES_MAX as u64 && receipts.1 > ENVELOPE_LEAVES_MAX as u64);

    // The consumer: its own log comes back from the mirror, and it follows the provider's again.
    let before = old.net.world.exchanged.len();
    old.put_back(CAINIAO, old.copies.0);
    let pages = old.net.world.exchanged[before..].iter();
    let pages = pages.filter(|it| it.from == CAINIAO && it.request.1.contains("evidence/entries"));
    assert!(pages.count() >= 4, "no page is without a limit");
    let [written_now, mirrored_now] = old.heads(SF, CAINIAO);
    assert_eq!((written_now, mirrored_now), (written, mirrored));
    let own = old.leaves(CAINIAO, CAINIAO, SF);
    assert_eq!(own[0], (1, receipts.1 as usize));
    assert!(own.len() == 2, "and it goes on in a new epoch: {own:?}");

    // The provider, by then with a partner whose log toward it has an epoch that ended.
    old.put_back(SF, old.copies.1);
    let own = old.leaves(SF, SF, CAINIAO);
    assert_eq!(own[0], (1, written.1 as usize));
    let ended = old.leaves(SF, CAINIAO, SF)[0];
    assert_eq!(ended, (1, receipts.1 as usize));
    old.net.track(SF, "SF1000000000001", "late");
    let epochs = old.leaves(CAINIAO, CAINIAO, SF);
    assert_eq!(old.leaves(SF, CAINIAO, SF), epochs);

    // Once more: what the epoch before has is not in memory at all, and comes back too.
    old.put_back(CAINIAO, old.copies.0);
    let again = old.leaves(CAINIAO, CAINIAO, SF);
    assert_eq!(again[..epochs.len()], epochs);
    for finding in findings_of(&old.net.world) {
        let declared = finding.kind == FindingKind::Rollback && finding.convicts.is_none();
        assert!(declared, "{finding:?}");
    }
    assert_no_fork(&old.net.world);
    old.net.assert_replay_gives_the_same();
}

#[test]
fn any_leaf_is_given_and_what_is_not_there_is_refused() {
    let mut old = long_exchange(411, 4, 400);
    let [(epoch, size, _), _] = old.heads(SF, CAINIAO);
    assert!(size > RECENT_LEAVES_MAX as u64 + 500);
    for log in [LogSide::Written, LogSide::Mirrored] {
        // Of SF's log: from its writer, and from Cainiao, which mirrors it.
        let (asked, asks) = match log {
            LogSide::Written => (SF, CAINIAO),
            LogSide::Mirrored | LogSide::Anchor => (CAINIAO, SF),
        };
        let whole = old.entries(asked, asks, log, epoch, 0).unwrap();
        assert_eq!(whole.leaves.len() as u64, size);
        for from in [1, 511, 512, 513, 1_000, size - 1] {
            let page = old.entries(asked, asks, log, epoch, from).unwrap();
            assert_eq!(page.from, from);
            assert_eq!(page.leaves, whole.leaves[from as usize..]);
        }
        for (epoch, from) in [(epoch, size + 1), (epoch, u64::MAX), (epoch + 1, 0), (0, 0)] {
            let refused = old.entries(asked, asks, log, epoch, from).unwrap_err();
            assert_eq!(
                (refused.status, refused.kind.as_str()),
                (410, "entries-gone")
            );
        }
        // Whoever has no log with us gets none of another's.
        let refused = old.entries(asked, FENGCHAO, log, epoch, 1_000).unwrap_err();
        assert_eq!(refused.status, 410);
    }
}

#[test]
fn leaves_that_were_disowned_are_never_signed_again() {
    let mut net = Network::of_june_2017(412);
    let number = "SF1000000000001";
    net.put_parcel(number, "taobao", CAINIAO, "13800000001");
    for n in 0..3 {
        net.track(SF, number, &format!("early-{n}"));
    }
    // The agreement ends out of Cainiao's reach: what SF writes of it is mirrored by nobody.
    net.world.run_until(MIDNIGHT.plus_ms(-30 * MINUTE_MS));
    net.world.cut(SF, CAINIAO, true);
    net.world.run_until(MIDNIGHT.plus_ms(30 * MINUTE_MS));
    let mut old = Old {
        net,
        copies: (0, 0),
    };
    let [ours, theirs] = old.heads(SF, CAINIAO);
    assert!((ours.0, theirs.0) == (1, 1) && ours.1 > theirs.1);
    let held = {
        let state = old.net.world.node(CAINIAO).unwrap().state();
        let channel = state.channel(old.net.world.id(SF).unwrap());
        let mirror = channel.unwrap().mirror.as_ref().unwrap();
        let leaves = mirror.leaves_from(0).unwrap();
        leaves.map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    // SF learns that the end of its journal was lost, and writes those leaves again in a new epoch.
    old.net.world.kill(SF);
    let lost = Record::RolledBack {
        shown_by: None,
        reason: "restored from a copy".into(),
    };
    let now = old.net.world.now();
    assert!(old.net.world.append_offline(SF, now, lost));
    assert!(old.net.world.restart(SF));
    old.net.world.cut(SF, CAINIAO, false);
    let until = now.plus_ms(10 * MINUTE_MS);
    old.net.world.run_until(until);
    assert!(old.heads(SF, CAINIAO)[0].0 > 1, "a new epoch was opened");
    let own = old.leaves(SF, SF, CAINIAO);
    let (_, kept) = own[0];
    let (mut shown, mut refused) = (0, 0);
    for from in 0..kept as u64 {
        match old.entries(SF, CAINIAO, LogSide::Written, 1, from) {
            Ok(page) => {
                let to = from as usize + page.leaves.len();
                let sent: Vec<Vec<u8>> = page.leaves.into_iter().map(|it| it.0).collect();
                assert_eq!(sent, held[from as usize..to], "what was signed before");
                shown += 1;
            }
            Err(problem) => {
                assert_eq!(problem.kind, "entries-gone");
                refused += 1;
            }
        }
    }
    assert!(shown > 0 && refused > 0, "{shown} shown, {refused} refused");
    assert_no_fork(&old.net.world);
    old.net.assert_replay_gives_the_same();
}
