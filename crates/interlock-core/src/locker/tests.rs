use super::*;
use crate::event::Step;
use crate::parcel::SizeClass;
use crate::pickup_code::PickupCode;
use crate::station::{Capacity, CompartmentState, Compartments, StationState};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const NOON: Timestamp = Timestamp::from_millis(1_496_289_600_000);

fn no(number: u16) -> CompartmentNo {
    CompartmentNo::new(number).unwrap()
}

fn code(number: u64) -> PickupCode {
    PickupCode::from_draw(number).unwrap()
}

fn stored(number: u64) -> StoredCode {
    code(number).store([1; 8])
}

fn reserve() -> Input {
    Input::Reserve { compartment: no(7) }
}

fn door_closed() -> Input {
    Input::DoorClosed { code: stored(42) }
}

/// A stay and its clock, with every input applied under the default rules.
struct Run {
    stay: Stay,
    now: Timestamp,
}

impl Run {
    fn new(inputs: &[Input]) -> Self {
        let mut run = Self {
            stay: Stay::arrive(),
            now: NOON,
        };
        for input in inputs {
            run.apply(input).unwrap();
        }
        run
    }

    fn lying() -> Self {
        Self::new(&[reserve(), door_closed()])
    }

    fn apply(&mut self, input: &Input) -> Result<Vec<Fact>, LockerError> {
        let (stay, facts) = self.stay.apply(input, self.now, &LockerRules::default())?;
        self.stay = stay;
        Ok(facts)
    }

    fn wait(&mut self, ms: i64) -> &mut Self {
        self.now = self.now.plus_ms(ms);
        self
    }
}

fn released() -> Fact {
    Fact::Released { compartment: no(7) }
}

fn opens(purpose: DoorUse) -> Fact {
    Fact::DoorOpens {
        compartment: no(7),
        purpose,
    }
}

#[test]
fn a_parcel_is_deposited_told_and_picked_up() {
    let mut run = Run::new(&[]);
    let until = NOON.plus_ms(DAY_MS);
    for (input, facts, phase) in [
        (reserve(), vec![opens(DoorUse::Deposit)], Phase::Reserved),
        (
            door_closed(),
            vec![
                Fact::Occupied { compartment: no(7) },
                Fact::Step(Step::Deposited),
                Fact::DeadlineSet { at: until },
            ],
            Phase::Deposited,
        ),
        (
            Input::MessageSent,
            vec![Fact::Step(Step::Notified)],
            Phase::Notified,
        ),
        (
            Input::TryCode(code(42)),
            vec![Fact::CodeVoided, opens(DoorUse::PickUp)],
            Phase::Opened,
        ),
        (
            Input::PickedUp,
            vec![Fact::Step(Step::PickedUp), released()],
            Phase::PickedUp,
        ),
    ] {
        assert_eq!(run.apply(&input), Ok(facts), "{}", input.as_str());
        assert_eq!(run.stay.phase(), phase);
        let repeat = run.apply(&input).unwrap_err();
        let name = input.as_str();
        assert_eq!(repeat, LockerError::AlreadyDone { input: name, phase });
    }
    assert_eq!(run.stay.compartment(), None);
    assert!(matches!(
        run.apply(&Input::TryCode(code(42))),
        Err(LockerError::Over { .. })
    ));
    assert!(matches!(
        run.apply(&Input::MessageSent),
        Err(LockerError::Over { .. })
    ));
}

#[test]
fn a_reservation_ends_when_the_door_is_not_closed() {
    let mut run = Run::new(&[reserve()]);
    let (due, input) = run.stay.due().unwrap();
    assert_eq!(due, NOON.plus_ms(LockerRules::default().reservation_ms()));
    run.now = due.plus_ms(-1);
    let early = LockerError::TooEarly {
        input: "door-not-closed",
        due,
    };
    assert_eq!(run.apply(&input), Err(early));
    run.now = due;
    assert_eq!(run.apply(&input), Ok(vec![released()]));
    assert_eq!(run.stay.phase(), Phase::Arrived);
    let error = run.apply(&door_closed()).unwrap_err();
    assert_eq!(
        format!("{error}"),
        "`door-closed` does not fit a parcel that is `arrived`: reserve a compartment first"
    );
    assert_eq!(run.apply(&reserve()), Ok(vec![opens(DoorUse::Deposit)]));
    // Given back by the courier at once, as when the parcel does not fit.
    assert_eq!(run.apply(&Input::Abandon), Ok(vec![released()]));
}

#[test]
fn a_door_closed_late_is_a_deposit() {
    let mut run = Run::new(&[reserve()]);
    run.wait(LockerRules::default().reservation_ms() + 1);
    assert!(run.apply(&door_closed()).is_ok());
    assert_eq!(run.stay.deadline(), Some(run.now.plus_ms(DAY_MS)));
}

#[test]
fn three_wrong_codes_lock_for_fifteen_minutes() {
    let mut run = Run::lying();
    let wrong = Input::TryCode(code(43));
    for round in 0..2 {
        assert_eq!(
            run.apply(&wrong),
            Ok(vec![Fact::CodeRefused { tries_left: 2 }])
        );
        assert_eq!(
            run.apply(&wrong),
            Ok(vec![Fact::CodeRefused { tries_left: 1 }])
        );
        let until = run.now.plus_ms(LOCK_OUT_MS);
        assert_eq!(
            run.apply(&wrong),
            Ok(vec![Fact::LockedOut { until }]),
            "{round}"
        );
        run.wait(LOCK_OUT_MS - 1);
        assert_eq!(run.stay.locked_until(run.now), Some(until));
        let locked = run.apply(&Input::TryCode(code(42)));
        assert_eq!(locked, Err(LockerError::LockedOut { until }));
        // A new code does not lift the lock-out.
        run.apply(&Input::Rekey {
            code: stored(50 + round),
        })
        .unwrap();
        let locked = run.apply(&Input::TryCode(code(50 + round)));
        assert_eq!(locked, Err(LockerError::LockedOut { until }));
        run.wait(1);
        assert_eq!(run.stay.locked_until(run.now), None);
    }
    assert!(run.apply(&Input::TryCode(code(51))).is_ok());
    let error = LockerError::LockedOut { until: NOON };
    assert_eq!(
        format!("{error}"),
        "no code is taken after 3 wrong ones: wait until 2017-06-01T04:00:00+00:00"
    );
}

#[test]
fn a_new_code_voids_the_old_one() {
    let mut run = Run::lying();
    run.apply(&Input::MessageSent).unwrap();
    let rekey = Input::Rekey { code: stored(50) };
    assert_eq!(run.apply(&rekey), Ok(vec![Fact::CodeVoided]));
    assert_eq!(
        run.stay.phase(),
        Phase::Deposited,
        "the new code has not been told"
    );
    assert!(matches!(
        run.apply(&rekey),
        Err(LockerError::AlreadyDone { .. })
    ));
    let old = run.apply(&Input::TryCode(code(42)));
    assert_eq!(old, Ok(vec![Fact::CodeRefused { tries_left: 2 }]));
    assert_eq!(
        run.apply(&Input::MessageSent),
        Ok(vec![Fact::Step(Step::Notified)])
    );
    assert!(run.apply(&Input::TryCode(code(50))).is_ok());
    assert!(run.apply(&Input::Rekey { code: stored(51) }).is_err());
}

#[test]
fn an_overdue_parcel_can_be_picked_up_or_extended() {
    let mut run = Run::lying();
    let (due, input) = run.stay.due().unwrap();
    run.now = due.plus_ms(-1);
    assert!(matches!(
        run.apply(&input),
        Err(LockerError::TooEarly { .. })
    ));
    run.now = due;
    assert_eq!(run.apply(&input), Ok(vec![Fact::Step(Step::Overdue)]));
    assert_eq!(run.stay.phase(), Phase::Overdue);
    assert_eq!(run.stay.due(), None);
    let mut late = Run {
        stay: run.stay.clone(),
        now: due,
    };
    assert!(late.apply(&Input::TryCode(code(42))).is_ok());

    let latest = NOON.plus_ms(STAY_MS_MAX);
    for until in [due, latest.plus_ms(1)] {
        let error = run.apply(&Input::Extend { until }).unwrap_err();
        assert_eq!(error, LockerError::Extension { after: due, latest });
    }
    let extend = Input::Extend { until: latest };
    assert_eq!(
        run.apply(&extend),
        Ok(vec![
            Fact::DeadlineSet { at: latest },
            Fact::Step(Step::Extended),
        ])
    );
    assert_eq!(run.stay.phase(), Phase::Deposited);
    assert!(matches!(
        run.apply(&extend),
        Err(LockerError::AlreadyDone { .. })
    ));
    assert!(matches!(run.stay.due(), Some((at, Input::DeadlinePassed)) if at == latest));
}

#[test]
fn only_courier_and_operator_take_a_parcel_back() {
    let to = StationId::parse("0413").unwrap();
    let recall = |by| Input::Recall { by };
    let redirect = |by| Input::Redirect { to: to.clone(), by };
    let mut run = Run::lying();
    for input in [recall(Actor::Recipient), redirect(Actor::Recipient)] {
        let name = input.as_str();
        assert_eq!(
            run.apply(&input),
            Err(LockerError::NotAllowed { input: name })
        );
    }
    let step = |step| vec![Fact::CodeVoided, Fact::Step(step), released()];
    assert_eq!(run.apply(&recall(Actor::Courier)), Ok(step(Step::Recalled)));
    let again = run.apply(&recall(Actor::Operator));
    assert!(matches!(again, Err(LockerError::AlreadyDone { .. })));

    let mut run = Run::lying();
    assert_eq!(
        run.apply(&redirect(Actor::Operator)),
        Ok(step(Step::Redirected))
    );
    let other = Input::Redirect {
        to: StationId::parse("1").unwrap(),
        by: Actor::Operator,
    };
    assert!(matches!(run.apply(&other), Err(LockerError::Over { .. })));
    let again = run.apply(&redirect(Actor::Operator));
    assert!(matches!(again, Err(LockerError::AlreadyDone { .. })));

    // Opened and left inside: the operator takes it out, no code is left to void.
    let mut run = Run::lying();
    run.apply(&Input::TryCode(code(42))).unwrap();
    let facts = run.apply(&recall(Actor::Operator));
    assert_eq!(facts, Ok(vec![Fact::Step(Step::Recalled), released()]));
    let mut run = Run::new(&[]);
    assert!(matches!(
        run.apply(&recall(Actor::Operator)),
        Err(LockerError::WrongPhase {
            phase: Phase::Arrived,
            ..
        })
    ));
    assert_eq!(
        run.apply(&redirect(Actor::Courier)),
        Ok(vec![Fact::Step(Step::Redirected)])
    );
}

#[test]
fn a_refused_parcel_leaves_no_event_and_no_compartment() {
    for (input, phase) in [
        (Input::Refuse, Phase::Refused),
        (Input::Cancel, Phase::Cancelled),
    ] {
        let mut run = Run::new(&[]);
        assert_eq!(run.apply(&input), Ok(vec![]));
        let mut run = Run::new(&[reserve()]);
        assert_eq!(run.apply(&input), Ok(vec![released()]));
        assert_eq!(run.stay.phase(), phase);
        let error = run.apply(&reserve()).unwrap_err();
        assert_eq!(
            format!("{error}"),
            format!(
                "`reserve` comes after the end, the stay is `{phase}`: scan the parcel again to begin a new stay"
            )
        );
        assert!(Run::lying().apply(&input).is_err());
    }
}

#[test]
fn rules_have_bounds() {
    assert_eq!(
        LockerRules::new(3 * MINUTE_MS, DAY_MS),
        Ok(LockerRules::default())
    );
    for (reservation_ms, pick_up_ms) in [(0, DAY_MS), (DAY_MS, DAY_MS), (MINUTE_MS, 0)] {
        assert!(LockerRules::new(reservation_ms, pick_up_ms).is_err());
    }
    assert!(LockerRules::new(MINUTE_MS, 8 * DAY_MS).is_err());
}

#[test]
fn stored_form_is_frozen_and_small() {
    let hex = |stay: &Stay| -> String {
        let bytes = postcard::to_allocvec(stay).unwrap();
        assert_eq!(&postcard::from_bytes::<Stay>(&bytes).unwrap(), stay);
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    };
    let to = StationId::parse("0413").unwrap();
    let by = Actor::Operator;
    let open = Input::TryCode(code(42));
    let start = || vec![reserve(), door_closed()];
    let after = |input: Input| [start(), vec![input]].concat();
    let locked = [start(), vec![Input::TryCode(code(1)); 3]].concat();
    let mut overdue = Run::lying();
    overdue.wait(DAY_MS).apply(&Input::DeadlinePassed).unwrap();
    let stays = [
        Run::new(&[]).stay,
        Run::new(&[reserve()]).stay,
        Run::lying().stay,
        Run::new(&after(Input::MessageSent)).stay,
        Run::new(&locked).stay,
        overdue.stay,
        Run::new(&after(open.clone())).stay,
        Run::new(&[after(open), vec![Input::PickedUp]].concat()).stay,
        Run::new(&after(Input::Recall { by })).stay,
        Run::new(&after(Input::Redirect { to, by })).stay,
        Run::new(&[Input::Refuse]).stay,
        Run::new(&[Input::Cancel]).stay,
    ];
    let all: Vec<String> = stays.iter().map(hex).collect();
    expect_test::expect![[r#"
        00
        0107c084919d8c57
        02078088fb9c8c5780f8adef8c5701010101010101012f589e0322d1ecddf5415c276889d98c00030000
        02078088fb9c8c5780f8adef8c5701010101010101012f589e0322d1ecddf5415c276889d98c00030100
        02078088fb9c8c5780f8adef8c5701010101010101012f589e0322d1ecddf5415c276889d98c01c0f6e89d8c570000
        02078088fb9c8c5780f8adef8c5701010101010101012f589e0322d1ecddf5415c276889d98c00030001
        030701010101010101012f589e0322d1ecddf5415c276889d98c
        04
        05
        060430343133
        07
        08"#]].assert_eq(&all.join("\n"));
    assert!(size_of::<Stay>() <= 64, "{}", size_of::<Stay>());
}

/// An input, with codes 0 to 3 and the given parameters.
fn input(kind: u8, draw: u64, now: Timestamp) -> Input {
    let pick = draw % 4;
    let by = [Actor::Courier, Actor::Operator, Actor::Recipient][(draw % 3) as usize];
    match kind {
        0 => Input::Arrive,
        1..=4 => Input::Reserve { compartment: no(1) },
        5..=8 => Input::DoorClosed { code: stored(pick) },
        9 => Input::DoorNotClosed,
        10 => Input::Abandon,
        11 => Input::MessageSent,
        12..=14 => Input::TryCode(code(pick)),
        15 => Input::Rekey { code: stored(pick) },
        16 => Input::PickedUp,
        17 => Input::DeadlinePassed,
        18 => Input::Extend {
            until: now.plus_ms((draw % (40 * DAY_MS as u64)) as i64),
        },
        19 if draw.is_multiple_of(2) => Input::Recall { by },
        20 if draw.is_multiple_of(4) => Input::Redirect {
            to: StationId::parse("9").unwrap(),
            by,
        },
        21 if draw.is_multiple_of(8) => Input::Refuse,
        22 if draw % 8 == 1 => Input::Cancel,
        _ => Input::MessageSent,
    }
}

/// What an outside observer of the facts knows of one stay.
#[derive(Default)]
struct Watch {
    held: Option<CompartmentNo>,
    deposit_openings: u32,
    pick_up_openings: u32,
    valid_code: Option<u64>,
    wrong_in_a_row: u8,
    locked_until: Option<Timestamp>,
}

impl Watch {
    fn see(&mut self, input: &Input, facts: &[Fact], number: u64, now: Timestamp) {
        if matches!(input, Input::DoorClosed { .. } | Input::Rekey { .. }) {
            self.valid_code = Some(number);
        }
        if matches!(input, Input::TryCode(_)) {
            self.see_try(facts, number, now);
        }
        for fact in facts {
            match fact {
                Fact::DoorOpens {
                    compartment,
                    purpose: DoorUse::Deposit,
                } => {
                    assert_eq!(self.held.replace(*compartment), None, "opened while held");
                    self.deposit_openings += 1;
                }
                Fact::DoorOpens {
                    compartment,
                    purpose: DoorUse::PickUp,
                } => {
                    assert_eq!(self.held, Some(*compartment));
                    self.pick_up_openings += 1;
                    self.valid_code = None;
                }
                Fact::Released { compartment } => {
                    assert_eq!(self.held.take(), Some(*compartment), "released twice");
                }
                Fact::Occupied { compartment } => assert_eq!(self.held, Some(*compartment)),
                Fact::Step(_)
                | Fact::CodeVoided
                | Fact::CodeRefused { .. }
                | Fact::LockedOut { .. }
                | Fact::DeadlineSet { .. } => {}
            }
        }
        assert!(self.pick_up_openings <= 1, "opened twice for the recipient");
    }

    fn see_try(&mut self, facts: &[Fact], number: u64, now: Timestamp) {
        assert!(
            self.locked_until.is_none_or(|until| now >= until),
            "a try while locked"
        );
        let opened = facts.iter().any(|f| matches!(f, Fact::DoorOpens { .. }));
        assert_eq!(
            opened,
            self.valid_code == Some(number),
            "only the newest code opens"
        );
        if opened {
            return;
        }
        self.wrong_in_a_row += 1;
        let left = TRIES_MAX - self.wrong_in_a_row;
        let expected = if left == 0 {
            self.wrong_in_a_row = 0;
            self.locked_until = Some(now.plus_ms(LOCK_OUT_MS));
            Fact::LockedOut {
                until: now.plus_ms(LOCK_OUT_MS),
            }
        } else {
            Fact::CodeRefused { tries_left: left }
        };
        assert_eq!(facts, [expected]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_sequence_breaks_a_stay(
        inputs in proptest::collection::vec((0..23u8, any::<u64>(), 0..30i64), 1..60),
    ) {
        let mut run = Run::new(&[]);
        let mut watch = Watch::default();
        for (kind, draw, minutes) in inputs {
            run.wait(minutes * MINUTE_MS);
            let input = input(kind, draw, run.now);
            let before = run.stay.clone();
            match run.apply(&input) {
                Ok(facts) => {
                    prop_assert!(!before.phase().is_over(), "something happened after the end");
                    watch.see(&input, &facts, draw % 4, run.now);
                    let foreign = facts.iter().any(|fact| {
                        matches!(fact, Fact::Step(step) if !step.is_locker())
                    });
                    prop_assert!(!foreign, "a step that is no locker event");
                    // What was done and is not a try is recognised when it is repeated.
                    let opened = run.stay.phase() == Phase::Opened;
                    if opened || !matches!(input, Input::TryCode(_)) {
                        let again = run.apply(&input);
                        let known = matches!(again, Err(LockerError::AlreadyDone { .. }));
                        prop_assert!(known, "{} {:?}", input.as_str(), again);
                    }
                }
                Err(_) => prop_assert_eq!(&before, &run.stay),
            }
            prop_assert_eq!(watch.held, run.stay.compartment());
            prop_assert!(!run.stay.phase().is_over() || watch.held.is_none());
        }
    }

    /// Many parcels at one small station: the facts of their stays keep the compartments right.
    #[test]
    fn stays_and_compartments_agree(
        inputs in proptest::collection::vec((0..6usize, 0..23u8, any::<u64>(), 0..30i64), 1..200),
    ) {
        let capacity = Capacity::new(0, 4, 0).unwrap();
        let mut compartments = Compartments::new(capacity);
        let mut stays = vec![Stay::arrive(); 6];
        let mut now = NOON;
        for (who, kind, draw, minutes) in inputs {
            now = now.plus_ms(minutes * MINUTE_MS);
            let mut input = input(kind, draw, now);
            if let Input::Reserve { compartment } = &mut input {
                match compartments.reserve(StationState::Operating, SizeClass::Medium, draw) {
                    Ok(number) => *compartment = number,
                    Err(_) => continue,
                }
            }
            match stays[who].apply(&input, now, &LockerRules::default()) {
                Ok((stay, facts)) => {
                    for fact in facts {
                        if let Fact::Occupied { compartment } = fact {
                            compartments.occupy(compartment).unwrap();
                        }
                        if let Fact::Released { compartment } = fact {
                            compartments.release(compartment).unwrap();
                        }
                    }
                    stays[who] = if stay.phase().is_over() { Stay::arrive() } else { stay };
                }
                Err(_) => {
                    if let Input::Reserve { compartment } = input {
                        compartments.release(compartment).unwrap();
                    }
                }
            }
            for number in (1..=4).map(no) {
                let holders: Vec<Phase> = stays
                    .iter()
                    .filter(|stay| stay.compartment() == Some(number))
                    .map(Stay::phase)
                    .collect();
                let expected = match holders.as_slice() {
                    [] => CompartmentState::Free,
                    [Phase::Reserved] => CompartmentState::Reserved,
                    [_] => CompartmentState::Occupied,
                    several => panic!("{number} held by {several:?}"),
                };
                prop_assert_eq!(compartments.state_of(number), Ok(expected));
            }
        }
    }
}
