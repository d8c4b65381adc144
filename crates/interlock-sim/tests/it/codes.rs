//! Pickup codes that an operator releases to owners: where an agreement says so, and nowhere else.

use interlock::exchange::wire::{CodeTold, CodeView as WireCode, FeedBatch, FeedItem, Lane};
use interlock::identity::code_key::CodeSecret;
use interlock::node::content::LinkKind;
use interlock::node::io::{DepositAction, LocalAnswer, LocalRequest, PageRequest, Role};
use interlock::node::record::{Record, Teller};
use interlock::pages::{CodeView, PickupView};
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::DepositId;
use interlock_core::terms::{Notifier, Purpose, Terms, check_combination};
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use interlock_core::waybill::Waybill;
use interlock_sim::SeededRng;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::*;

const NUMBER: &str = "SF1000000000001";
const ORDERS: [u8; 32] = [71; 32];

fn waybill() -> Waybill {
    Waybill::parse("sf", NUMBER).unwrap()
}

fn code_terms(forms: &[ContactForm], notifier: Option<Notifier>) -> Terms {
    let from = MIDNIGHT.plus_ms(-60 * DAY_MS);
    let mut codes = terms(
        Dataset::PickupCode,
        from,
        MIDNIGHT.plus_ms(90 * DAY_MS),
        &["taobao"],
    );
    codes.contact_forms = forms.iter().copied().collect();
    codes.notifier = notifier;
    if notifier != Some(Notifier::Owner) {
        codes.purposes = [Purpose::DeliveryTracking].into();
    }
    codes.delete_after_ms = Some(10 * DAY_MS);
    assert_eq!(check_combination(&codes), Ok(()));
    codes
}

/// A parcel of Cainiao's on its way to a locker of Fengchao's, which releases codes in these forms.
fn begin(seed: u64, forms: &[ContactForm]) -> Network {
    let mut net = Network::of_june_2017(seed);
    if !forms.is_empty() {
        net.agree(FENGCHAO, CAINIAO, code_terms(forms, None), "codes");
        learn(&mut net);
    }
    net.put_station(FENGCHAO, "FC0001", 4);
    net.put_parcel(NUMBER, "taobao", CAINIAO, "13877665544");
    for (ix, key) in [(FENGCHAO, ORDERS), (CAINIAO, ORDERS)] {
        let add = LocalRequest::AddKey {
            name: "app".into(),
            role: Role::OrderSystem,
            digest: key,
        };
        ok(net.world.local(ix, add));
    }
    net.world.settle();
    net
}

/// What was put on record is known.
fn learn(net: &mut Network) {
    for ix in [FENGCHAO, CAINIAO] {
        net.world.kill(ix);
        assert!(net.world.restart(ix));
    }
}

fn deposited(net: &mut Network) -> Value {
    let deposit = net.deposit(FENGCHAO, NUMBER, "FC0001", "k").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    deposit
}

fn enrol(net: &mut Network, secret: &CodeSecret) {
    let put = LocalRequest::PutCodeKey(waybill(), secret.public());
    ok(net.world.local_as(FENGCHAO, Some(ORDERS), put));
    net.world.settle();
}

fn taken(net: &mut Network, deposit: &Value, code: &str) {
    let open = DepositAction::Open { code: code.into() };
    net.advance(FENGCHAO, deposit, open).unwrap();
    net.advance(FENGCHAO, deposit, DepositAction::PickUp)
        .unwrap();
    net.world.settle();
}

fn secret(name: &str) -> CodeSecret {
    CodeSecret::draw(&mut SeededRng::new(980, name))
}

/// The owner's page of the parcel, with the code if there is one to show.
fn page(net: &mut Network) -> PickupView {
    let token = {
        let state = net.world.node(CAINIAO).unwrap().state();
        let parcel = state.parcels.find(&waybill()).unwrap();
        state.links.token(LinkKind::Pickup, parcel.id)
    };
    let digest = Sha256::digest(token.as_bytes()).into();
    match net.world.page(CAINIAO, PageRequest::ShowCode(digest)) {
        Some(LocalAnswer::Pickup(view)) => *view,
        other => panic!("no page: {other:?}"),
    }
}

fn shown(net: &mut Network) -> (String, String) {
    let CodeView::Shown { code, compartment } = page(net).code else {
        panic!("{:?}", page(net).code);
    };
    (code, compartment)
}

/// The code as the locker itself has it.
fn code_of(net: &Network) -> String {
    let state = net.world.node(FENGCHAO).unwrap().state();
    let parcel = state.parcels.find(&waybill()).unwrap();
    let deposit = state.deposits.get(&parcel.deposit.unwrap()).unwrap();
    deposit.code.value.clone().expect("a code")
}

/// Every batch that Fengchao answered.
fn batches(net: &Network) -> Vec<(u64, Value)> {
    let all = net.world.exchanged.iter().filter(|it| it.to == FENGCHAO);
    let bodies = all.filter_map(|it| serde_json::from_slice::<Value>(&it.answer.1).ok());
    let batches = bodies.filter(|body| body["body"]["events"].is_array());
    batches
        .map(|body| (body["body"]["next"].as_u64().unwrap(), body["body"].clone()))
        .collect()
}

/// The items of codes that left, in order.
fn codes_left(net: &Network) -> Vec<FeedItem> {
    let of_codes = batches(net).into_iter();
    let of_codes = of_codes.filter(|(_, body)| body["dataset"] == "pickup-code");
    let batches = of_codes.map(|(_, body)| serde_json::from_value::<FeedBatch>(body).unwrap());
    batches
        .flat_map(|batch| batch.events)
        .map(|event| event.item)
        .collect()
}

/// The code stands in no request line, no other body, no journal and no file.
fn assert_only_where_agreed(net: &Network, code: &str, may_leave: bool) {
    let quoted = format!("\"{code}\"");
    for exchanged in &net.world.exchanged {
        assert!(
            !exchanged.request.1.contains(code),
            "{}",
            exchanged.request.1
        );
        for body in [&exchanged.request.2, &exchanged.answer.1] {
            let text = String::from_utf8_lossy(body);
            let is_code = text.contains("\"dataset\":\"pickup-code\"");
            assert!(!text.contains(&quoted) || (is_code && may_leave), "{text}");
        }
    }
    for ix in ALL {
        for (_, record) in net.world.journal(ix) {
            assert!(!record.windows(6).any(|it| it == code.as_bytes()));
        }
        for (name, bytes) in net.world.stored(ix) {
            let quoted = bytes.windows(8).any(|it| it == quoted.as_bytes());
            assert!(!quoted, "node {ix}: {name}");
        }
    }
}

#[test]
fn an_open_code_reaches_the_owner_and_is_worth_nothing_after_the_pick_up() {
    let mut net = begin(980, &[ContactForm::Full]);
    let deposit = deposited(&mut net);
    let code = code_of(&net);
    let (seen, compartment) = shown(&mut net);
    assert_eq!(seen, code);
    let left = codes_left(&net);
    let [FeedItem::Code(view)] = left.as_slice() else {
        panic!("{left:?}");
    };
    assert_eq!(view.form, Some(ContactForm::Full));
    assert_eq!(view.station.as_ref().unwrap().as_str(), "FC0001");
    let Some(CodeTold::Open {
        compartment: of_wire,
        ..
    }) = &view.told
    else {
        panic!("{view:?}");
    };
    assert_eq!(of_wire.to_string(), compartment);
    assert_only_where_agreed(&net, &code, true);
    assert!(!net.parcel(CAINIAO, NUMBER).to_string().contains(&code));
    let get = || LocalRequest::GetSealedCode(waybill());
    let handed = ok(net.world.local_as(CAINIAO, Some(ORDERS), get()));
    assert_eq!(handed["code"], code.as_str());
    net.assert_replay_of(&[CAINIAO, FENGCHAO]);
    assert_eq!(shown(&mut net).0, code, "a restart keeps it");

    taken(&mut net, &deposit, &code);
    assert!(!matches!(
        page(&mut net).code,
        CodeView::Shown { .. } | CodeView::Hidden
    ));
    let again = DepositAction::Open { code: code.clone() };
    net.advance(FENGCHAO, &deposit, again)
        .expect_err("used once");
    let after = net.world.local_as(CAINIAO, Some(ORDERS), get());
    assert_eq!(problem_of(after).status, 409);
    let journal = net.world.journal(CAINIAO).iter();
    let records = journal.map(|(_, bytes)| postcard::from_bytes::<Record>(bytes).unwrap());
    let of_codes = records.filter(
        |record| matches!(record, Record::BatchReceived(it) if it.dataset == Dataset::PickupCode),
    );
    let sealed: Vec<_> = of_codes
        .flat_map(|record| {
            let all = record.sealed();
            all.into_iter().cloned().collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(sealed.len(), 1, "it was on record, sealed");
    assert!(!net.world.has_key(CAINIAO, &sealed[0]));
    assert_only_where_agreed(&net, &code, true);
    net.assert_all_evidence_is_mirrored();
    net.assert_replay_of(&[CAINIAO, FENGCHAO]);
}

#[test]
fn a_sealed_code_passes_an_owner_that_cannot_read_it() {
    let mut net = begin(981, &[ContactForm::Sealed]);
    let deposit = deposited(&mut net);
    let code = code_of(&net);
    assert!(codes_left(&net).is_empty(), "nobody has a key for it");
    assert!(matches!(page(&mut net).code, CodeView::Withheld { .. }));
    let mine = secret("mine");
    enrol(&mut net, &mine);
    let CodeView::Sealed {
        deposit: of,
        sealed,
    } = page(&mut net).code
    else {
        panic!("{:?}", page(&mut net).code);
    };
    assert_eq!(of, deposit["id"]);
    let id = DepositId::parse(&of).unwrap();
    let bytes = |text: &str| -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        let digits = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
        digits
            .map(|it| u8::from_str_radix(it, 16).unwrap())
            .collect()
    };
    let (read, _) = mine.open(&id, &bytes(&sealed)).expect("for this device");
    assert_eq!(*read, code);
    assert!(secret("other").open(&id, &bytes(&sealed)).is_none());
    // The owner's app hands it on as it came.
    let get = || LocalRequest::GetSealedCode(waybill());
    let handed = ok(net.world.local_as(CAINIAO, Some(ORDERS), get()));
    assert_eq!(handed["sealed"], sealed.as_str());
    assert_only_where_agreed(&net, &code, false);

    // A lost device: what is sealed to the new one takes its place.
    let new = secret("new");
    enrol(&mut net, &new);
    let handed = ok(net.world.local_as(CAINIAO, Some(ORDERS), get()));
    let handed = bytes(handed["sealed"].as_str().unwrap());
    assert_eq!(*new.open(&id, &handed).unwrap().0, code);
    assert_eq!(codes_left(&net).len(), 2);

    taken(&mut net, &deposit, &code);
    let after = net.world.local_as(CAINIAO, Some(ORDERS), get());
    assert_eq!(problem_of(after).status, 409);
    net.assert_replay_of(&[CAINIAO, FENGCHAO]);
}

#[test]
fn the_most_restrictive_form_that_serves_leaves() {
    let both = [ContactForm::Sealed, ContactForm::Full];
    let mut net = begin(982, &both);
    deposited(&mut net);
    assert!(
        matches!(page(&mut net).code, CodeView::Shown { .. }),
        "nobody enrolled a key"
    );
    enrol(&mut net, &secret("mine"));
    assert!(matches!(page(&mut net).code, CodeView::Sealed { .. }));

    // Who enrolled a key before the deposit never has the code pass in clear, whatever was agreed on.
    for (seed, forms) in [(983, &both[..]), (984, &[ContactForm::Full])] {
        let mut net = begin(seed, forms);
        enrol(&mut net, &secret("mine"));
        deposited(&mut net);
        let code = code_of(&net);
        assert_only_where_agreed(&net, &code, false);
        let sealed = matches!(page(&mut net).code, CodeView::Sealed { .. });
        assert_eq!(sealed, forms.len() == 2);
    }
}

#[test]
fn without_an_agreement_no_code_waits_anywhere() {
    let mut net = begin(985, &[]);
    deposited(&mut net);
    assert_eq!(net.held(FENGCHAO, "pickup-code"), 0);
    assert!(matches!(page(&mut net).code, CodeView::Withheld { .. }));
    let code = code_of(&net);
    assert_only_where_agreed(&net, &code, false);
    // A later agreement releases the codes of later deposits.
    let full = code_terms(&[ContactForm::Full], None);
    net.agree(FENGCHAO, CAINIAO, full, "codes");
    learn(&mut net);
    net.world.settle();
    assert!(codes_left(&net).is_empty());
}

#[test]
fn a_code_that_was_over_before_it_left_is_not_told_and_keeps_nothing_waiting() {
    let mut net = begin(986, &[ContactForm::Full]);
    net.world.kill(CAINIAO);
    // Its last poll is over.
    net.world.run_until(net.world.now().plus_ms(25 * HOUR_MS));
    let deposit = net.deposit(FENGCHAO, NUMBER, "FC0001", "k").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .expect("asked in the background");
    let code = code_of(&net);
    taken(&mut net, &deposit, &code);
    assert!(net.world.restart(CAINIAO));
    net.put_parcel("SF1000000000002", "taobao", CAINIAO, "13877665545");
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    let next = net
        .deposit(FENGCHAO, "SF1000000000002", "FC0001", "k2")
        .unwrap();
    net.advance(FENGCHAO, &next, DepositAction::Confirm)
        .unwrap();
    net.world.run_until(net.world.now().plus_ms(10 * MINUTE_MS));
    let left = codes_left(&net);
    let told: Vec<bool> = left
        .iter()
        .map(|item| matches!(item, FeedItem::Code(view) if view.told.is_some()))
        .collect();
    assert_eq!(told, [false, true], "{left:?}");
    assert_only_where_agreed(&net, &code, false);
    net.assert_all_evidence_is_mirrored();
    net.assert_replay_of(&[CAINIAO, FENGCHAO]);
}

#[test]
fn a_batch_that_leaves_again_tells_no_code_that_is_over_and_fits_its_leaf() {
    let mut net = begin(987, &[ContactForm::Full]);
    let mut hostile = Hostile::new(&mut net, CAINIAO, FENGCHAO);
    let deposit = net.deposit(FENGCHAO, NUMBER, "FC0001", "k");
    // Nobody answers for the owner: the operator asks in the background.
    let deposit = deposit.unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    let transfer = wire("urn:agreement:codes:1:0:pickup-code:p");
    let first = hostile
        .poll(&mut net.world, &transfer, Lane::Live, 0)
        .unwrap();
    let second = hostile
        .poll(&mut net.world, &transfer, Lane::Live, 0)
        .unwrap();
    assert_eq!(first.events, second.events, "the same again");
    assert!(first.events[0].item != *first.events[0].item.committed());
    let code = code_of(&net);
    taken(&mut net, &deposit, &code);
    for restarted in [false, true] {
        if restarted {
            net.world.kill(FENGCHAO);
            assert!(net.world.restart(FENGCHAO));
            net.answer_comparisons();
        }
        let late = hostile
            .poll(&mut net.world, &transfer, Lane::Live, 0)
            .unwrap();
        assert_eq!(late.events[0].item, *first.events[0].item.committed());
        assert_eq!(late.events[0].salt, first.events[0].salt);
    }
}

#[test]
fn an_owner_tells_the_recipient_where_it_has_the_code_too() {
    let by_owner = |net: &mut Network, codes: bool| {
        let mut events = terms(
            Dataset::LockerEvents,
            MIDNIGHT.plus_ms(-60 * DAY_MS),
            MIDNIGHT.plus_ms(90 * DAY_MS),
            &["taobao"],
        );
        events.notifier = Some(Notifier::Owner);
        events.purposes.insert(Purpose::PickupNotification);
        net.agree(FENGCHAO, CAINIAO, events, "owner");
        if codes {
            let full = code_terms(&[ContactForm::Full], Some(Notifier::Owner));
            net.agree(FENGCHAO, CAINIAO, full, "codes");
        }
        learn(net);
        net.world.settle();
    };
    for codes in [false, true] {
        // No contact leaves to the operator: only the owner can tell.
        let mut net = Network::with_terms(988, |terms| {
            if terms.dataset == Dataset::RecipientContact {
                terms.until = MIDNIGHT.plus_ms(-DAY_MS);
                terms.run_off_ms = None;
            }
        });
        by_owner(&mut net, codes);
        net.put_station(FENGCHAO, "FC0001", 4);
        net.world.run_until(MIDNIGHT.plus_ms(-12 * HOUR_MS));
        net.put_parcel(NUMBER, "taobao", CAINIAO, "13877665544");
        net.world.settle();
        let opened = net.deposit(FENGCHAO, NUMBER, "FC0001", "k");
        if !codes {
            let refused = opened.unwrap_err();
            assert_eq!(refused.kind, "nobody-can-tell");
            assert!(
                refused.detail.contains("code-withheld"),
                "{}",
                refused.detail
            );
            continue;
        }
        let deposit = opened.unwrap();
        assert_eq!(deposit["notifier"], "owner", "{deposit}");
        net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
            .unwrap();
        net.world.settle();
        let state = net.world.node(FENGCHAO).unwrap().state();
        let parcel = state.parcels.find(&waybill()).unwrap();
        let of = state.deposits.get(&parcel.deposit.unwrap()).unwrap();
        assert!(matches!(of.teller, Some(Teller::Owner(_))));
        let sent = net.world.sent.last().expect("a message");
        assert_eq!(sent.by, CAINIAO);
        let code = code_of(&net);
        assert_eq!(shown(&mut net).0, code);
    }
}

#[test]
fn a_carrier_tells_the_recipient_only_where_its_codes_are_agreed_on_with_it_as_the_notifier() {
    for notifier in [None, Some(Notifier::Owner), Some(Notifier::Carrier)] {
        let mut net = Network::with_terms(991, |terms| {
            if terms.dataset == Dataset::RecipientContact {
                terms.until = MIDNIGHT.plus_ms(-DAY_MS);
                terms.run_off_ms = None;
            }
        });
        let mut events = terms(
            Dataset::LockerEvents,
            MIDNIGHT.plus_ms(-60 * DAY_MS),
            MIDNIGHT.plus_ms(90 * DAY_MS),
            &["taobao"],
        );
        events.notifier = Some(Notifier::Carrier);
        net.agree(FENGCHAO, SF, events, "carrier");
        let full = code_terms(&[ContactForm::Full], notifier);
        net.agree(FENGCHAO, SF, full, "codes");
        for ix in [FENGCHAO, SF] {
            net.world.kill(ix);
            assert!(net.world.restart(ix));
        }
        net.put_station(FENGCHAO, "FC0001", 4);
        net.world.run_until(MIDNIGHT.plus_ms(-12 * HOUR_MS));
        net.put_parcel(NUMBER, "taobao", CAINIAO, "13877665544");
        net.world.settle();
        let opened = net.deposit(FENGCHAO, NUMBER, "FC0001", "k");
        if notifier != Some(Notifier::Carrier) {
            let refused = opened.unwrap_err();
            assert_eq!(refused.kind, "nobody-can-tell");
            assert!(refused.detail.contains("code-withheld"));
            continue;
        }
        let deposit = opened.unwrap();
        assert_eq!(deposit["notifier"], "carrier", "{deposit}");
        net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
            .unwrap();
        net.world.settle();
        let left = codes_left(&net);
        assert!(
            matches!(left.as_slice(), [FeedItem::Code(view)] if view.told.is_some()),
            "{left:?}"
        );
    }
}

#[test]
fn whoever_has_not_the_parcel_does_not_change_its_code() {
    let mut net = begin(989, &[ContactForm::Full]);
    net.agree(JD, CAINIAO, code_terms(&[ContactForm::Full], None), "codes");
    learn(&mut net);
    let deposit = deposited(&mut net);
    let code = code_of(&net);
    let mut hostile = Hostile::new(&mut net, JD, CAINIAO);
    let told = CodeTold::Open {
        code: "000000".into(),
        compartment: 1,
    };
    let item = FeedItem::Code(WireCode {
        carrier: "sf".into(),
        number: NUMBER.into(),
        station: None,
        form: Some(ContactForm::Full),
        told: Some(told),
    });
    let before = net.world.journal(CAINIAO).len();
    let asked = hostile.polled(&mut net, Dataset::PickupCode, Lane::Live);
    let now = net.world.now();
    let batch = hostile.batch(now, Dataset::PickupCode, Lane::Live, 1, vec![item]);
    hostile.give(&mut net, &asked, batch);
    assert!(net.world.journal(CAINIAO).len() > before, "it was taken in");
    assert_eq!(shown(&mut net).0, code);
    taken(&mut net, &deposit, &code);
}
