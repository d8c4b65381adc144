//! Golden bytes of every record: what a journal holds today must be read by every later version.

use std::fmt::Write as _;

use interlock_core::agreement::{AgreementFacts, AgreementState, Assurance};
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::event::{ParcelEvent, Place, Step};
use interlock_core::ids::{
    DepositId, IdempotencyKey, Marketplace, MerchantId, MessageId, ParcelId, ParticipantId,
    RequestId, StationId, WireId,
};
use interlock_core::locker::{Input, LockerRules, Stay};
use interlock_core::negotiation::{NegotiationState, Party};
use interlock_core::parcel::{Consent, Generation, Preference, SizeClass};
use interlock_core::station::{
    Capacity, CompartmentNo, Position, Station, StationName, StationState,
};
use interlock_core::terms::{Backlog, Field, Purpose, Terms};
use interlock_core::time::{Timestamp, Zone};
use interlock_core::transfer::TransferState;
use interlock_core::waybill::Waybill;
use interlock_journal::bilateral::KeyRotation;

use super::*;
use crate::identity::code_key::CodeKey;
use crate::identity::keys::NodeKey;
use crate::identity::partner::{Partner, Role as ParticipantRole};
use crate::identity::password::PasswordHash;
use crate::identity::url::BaseUrl;
use crate::node::agreements::{
    Actor, Agreement, Answer, Cooperation, Draft, Mediated, Mediation, Negotiation, Noted, Offer,
    Outgoing, Reciprocity, Transfer, Version,
};

const AT: Timestamp = Timestamp::from_millis(1_496_246_400_000);

fn wire(text: &str) -> WireId {
    WireId::parse(text).unwrap()
}

fn who(name: &str) -> ParticipantId {
    ParticipantId::parse(&format!("did:web:{name}.example")).unwrap()
}

fn sealed() -> Sealed {
    Sealed {
        hour: 17_318,
        slot: 7,
        nonce: [3; 12],
        ciphertext: Blob(vec![1, 2, 3]),
    }
}

fn terms() -> Terms {
    Terms {
        dataset: Dataset::LockerEvents,
        from: AT,
        until: AT.plus_ms(86_400_000),
        zone: Zone::CHINA,
        purposes: [Purpose::DeliveryTracking].into(),
        marketplaces: [Marketplace::parse("taobao").unwrap()].into(),
        fields: [Field::Waybill, Field::Step].into(),
        contact_forms: [].into(),
        quota_per_day: None,
        quota_per_parcel: None,
        evidence: [].into(),
        notifier: None,
        run_off_ms: Some(604_800_000),
        backlog: Some(Backlog::Hold),
        covers_from: None,
        delete_after_ms: None,
        reciprocate: false,
        no_redisclosure: true,
    }
}

fn unsent() -> Option<Outgoing> {
    Some(Outgoing {
        path: "/negotiations/request".into(),
        body: "{}".into(),
    })
}

fn reserved() -> Stay {
    let compartment = CompartmentNo::new(12).unwrap();
    Stay::arrive()
        .apply(&Input::Reserve { compartment }, AT, &LockerRules::default())
        .unwrap()
        .0
}

// tidy: long, one literal a record
fn of_agreements() -> Vec<Record> {
    let partner = Partner {
        id: who("fengchao"),
        name: "Fengchao".into(),
        roles: vec![ParticipantRole::LockerOperator],
        exchange_url: BaseUrl::parse("https://node.fengchao.example").unwrap(),
        key: NodeKey::from_seed(&[1; 32]).public(),
        marketplaces: Vec::new(),
        carriers: Vec::new(),
        certificate_pin: None,
        connector: false,
        connector_id: None,
        parcel_data_without_manifest: false,
    };
    vec![
        Record::Partner(Box::new(partner)),
        Record::PartnerRemoved(who("fengchao")),
        Record::ApiKey {
            name: "admin".into(),
            role: crate::node::io::Role::Admin,
            digest: [9; 32],
        },
        Record::Offer(Box::new(Offer {
            id: wire("urn:offer"),
            target: wire("locker-events"),
            terms: terms(),
            audience: vec![who("sf")],
            auto_accept: true,
        })),
        Record::OfferWithdrawn(wire("urn:offer")),
        Record::Negotiation(Box::new(Negotiation {
            id: wire("urn:n"),
            peer_id: None,
            peer: who("sf"),
            party: Party::Consumer,
            state: NegotiationState::Requested,
            offer: wire("urn:offer"),
            target: wire("locker-events"),
            terms: terms(),
            policy_hash: [5; 32],
            version: 1,
            terms_before: None,
            agreement: None,
            agreed_at: None,
            cooperation: wire("urn:c"),
            waits_for_people: false,
            draft: Some(Draft {
                terms: terms(),
                by: "li".into(),
            }),
            approved_by: vec!["li".into()],
            expires_at: AT,
            unsent: unsent(),
            taken: None,
            supersedes: None,
        })),
        Record::Agreement(Box::new(Agreement {
            id: wire("urn:a"),
            provider: who("sf"),
            consumer: who("cainiao"),
            terms: terms(),
            policy_hash: [4; 32],
            cooperation: wire("urn:c"),
            agreed_at: AT,
            finalized_at: AT,
            facts: AgreementFacts::finalized(Assurance::Signed),
            suspended_by: None,
            supersedes: None,
            superseded_by: None,
            unsent_notice: None,
            state: AgreementState::Finalized,
            negotiation: wire("urn:n"),
            target: wire("locker-events"),
        })),
        Record::AgreementState {
            agreement: wire("urn:a"),
            state: AgreementState::InForce,
        },
        Record::Transfer(Box::new(Transfer {
            id: wire("urn:t"),
            peer_id: Some(wire("urn:p")),
            peer: who("sf"),
            party: Party::Consumer,
            agreement: wire("urn:a"),
            state: TransferState::Started,
            unsent: None,
            taken: None,
            starts: 1,
            push: None,
        })),
        Record::Cooperation(Box::new(Cooperation {
            id: wire("urn:c"),
            peer: who("sf"),
            manifest: Some(b"{}".to_vec()),
            our_signature: None,
            their_signature: None,
            refused: None,
        })),
        Record::Noted(Box::new(Noted {
            about: wire("urn:n"),
            by: Actor::Person("li".into()),
            what: "approved it".into(),
            version: Some(Version {
                number: 1,
                policy_hash: [4; 32],
            }),
        })),
    ]
}

// tidy: long, one literal a record
fn of_parcels() -> Vec<Record> {
    let parcel = ParcelId::from_bytes([1; 16]);
    let deposit = DepositId::from_bytes([2; 16]);
    let event = ParcelEvent {
        number: 1,
        step: Step::Deposited,
        at: AT,
        zone: Zone::CHINA,
        place: Some(Place::Station(StationId::parse("FC0001").unwrap())),
    };
    vec![
        Record::Parcel(Box::new(ParcelRecord {
            id: parcel,
            waybill: Waybill::parse("sf", "SF1234567890123").unwrap(),
            generation: Generation::FIRST,
            issued_at: AT,
            source: None,
            marketplace: Some(Marketplace::parse("taobao").unwrap()),
            merchant: Some(MerchantId::parse("m1").unwrap()),
            owner: Some(who("cainiao")),
            claim: None,
            size_class: Some(SizeClass::Small),
            consent: Consent::Given,
            preference: Preference::default(),
            recipient: Some(sealed()),
            lockers: vec![who("fengchao")],
        })),
        Record::Claimed {
            parcel,
            claimant: who("cainiao"),
            token: [5; 16],
        },
        Record::Event(EventRecord {
            parcel,
            event: event.clone(),
            digest: [6; 32],
        }),
        Record::Station(Box::new(Station {
            id: StationId::parse("FC0001").unwrap(),
            name: StationName::parse("Gate 1").unwrap(),
            position: Position::new(120_000_000, 30_000_000).unwrap(),
            state: StationState::Operating,
            capacity: Capacity::new(20, 10, 5).unwrap(),
        })),
        Record::Deposit(Box::new(DepositRecord {
            id: deposit,
            parcel,
            station: StationId::parse("FC0001").unwrap(),
            compartment: CompartmentNo::new(12).unwrap(),
            size_class: SizeClass::Small,
            courier: sealed(),
            code: sealed(),
            contact: None,
            stay: reserved(),
        })),
        Record::Stay {
            deposit,
            stay: reserved(),
            compartment: CompartmentChange::Occupied,
        },
        Record::Notifier {
            deposit,
            teller: Teller::Us,
        },
        Record::Message {
            id: MessageId::from_bytes([7; 16]),
            parcel,
            kind: MessageKind::Deposited,
        },
        Record::MessageDone {
            id: MessageId::from_bytes([7; 16]),
            outcome: MessageOutcome::Delivered,
        },
        Record::Keyed {
            caller: [9; 32],
            key: IdempotencyKey::parse("k1").unwrap(),
            body: [8; 32],
            effect: KeyedEffect::Deposit(deposit),
        },
        Record::Alert {
            kind: AlertKind::RecipientNotTold,
            parcel: Some(parcel),
            partner: None,
            detail: "why".into(),
        },
        Record::ContactDeleted { parcel },
    ]
}

// tidy: long, one literal a record
fn of_exchange() -> Vec<Record> {
    let parcel = ParcelId::from_bytes([1; 16]);
    let deposit = DepositId::from_bytes([2; 16]);
    let request_id = RequestId::from_bytes([3; 16]);
    let leaf = Blob(vec![1, 2]);
    let to = who("fengchao");
    let agreement = wire("urn:a");
    vec![
        Record::LookupAsked(Box::new(LookupAsked {
            to: to.clone(),
            agreement: agreement.clone(),
            request_id,
            purpose: "pickup-notification".into(),
            items: vec![(deposit, request_id, AT)],
            leaf: leaf.clone(),
        })),
        Record::LookupAnswered {
            from: to.clone(),
            request_id,
            outcomes: vec![
                ContactOutcome::Granted {
                    form: ContactForm::Virtual,
                    contact: sealed(),
                },
                ContactOutcome::Denied {
                    reason: "term-ended".into(),
                },
            ],
        },
        Record::BatchReleased(Box::new(BatchReleased {
            to: to.clone(),
            dataset: Dataset::LockerEvents,
            lane: Lane::Backlog,
            agreement: agreement.clone(),
            first: 300,
            taken: 2,
            withheld: vec![1],
            salts: vec![request_id],
            leaf: leaf.clone(),
        })),
        Record::LookupReleased(Box::new(LookupReleased {
            to: to.clone(),
            agreement,
            request_id,
            purpose: "pickup-notification".into(),
            items_root: [6; 32],
            day: 17_318,
            outcomes: vec![
                LookupDecision::Released {
                    parcel,
                    form: ContactForm::Virtual,
                    lease: Some(("#12".into(), AT)),
                },
                LookupDecision::Denied {
                    reason: "out-of-scope".into(),
                },
            ],
            leaves: vec![leaf.clone()],
        })),
        Record::Denied {
            to: to.clone(),
            dataset: Dataset::LockerEvents,
            reason: "term-ended".into(),
            leaf: leaf.clone(),
        },
        Record::Mirrored {
            from: to.clone(),
            first: 9,
            leaves: vec![leaf.clone()],
            checkpoint: "note".into(),
        },
        Record::Leaf {
            to: to.clone(),
            leaf,
        },
        Record::Receipted {
            from: to.clone(),
            dataset: Dataset::LockerEvents,
            lane: Lane::Live,
            next: 7,
        },
        Record::BatchesTakenBack {
            to: to.clone(),
            dataset: Dataset::LockerEvents,
            lane: Lane::Live,
            first: 3,
            leaf: Blob(vec![4]),
        },
        Record::Acknowledged {
            from: to.clone(),
            dataset: Dataset::LockerStations,
            lane: Lane::Live,
            next: 7,
        },
        Record::EndWarned(Box::new(EndWarning {
            id: MessageId::from_bytes([6; 16]),
            partner: to.clone(),
            ends_at: AT,
            lead_ms: 3_600_000,
            agreements: vec![wire("a1")],
            parcels: 2,
            recipients: 1,
            merchants: vec![(MerchantId::parse("m1").unwrap(), 2)],
        })),
        Record::WarningDone {
            id: MessageId::from_bytes([6; 16]),
            outcome: MessageOutcome::Delivered,
        },
        Record::BatchReceived(Box::new(BatchReceived {
            from: to,
            dataset: Dataset::PickupCode,
            lane: Lane::Live,
            next: 7,
            items: vec![
                ReceivedItem::Advice(parcel),
                ReceivedItem::Code {
                    parcel,
                    code: sealed(),
                },
            ],
        })),
    ]
}

fn of_epochs() -> Vec<Record> {
    let to = who("fengchao");
    vec![
        Record::RolledBack {
            shown_by: Some(to.clone()),
            reason: "why".into(),
        },
        Record::Regained(Box::new(Regained {
            to: to.clone(),
            epoch: 1,
            first: 300,
            leaves: vec![Blob(vec![1, 2])],
            checkpoint: "note".into(),
        })),
        Record::EpochOpened {
            to,
            epoch: 1_496_246_400,
            leaf: Blob(vec![3]),
            reissued: 2,
        },
    ]
}

fn of_people() -> Vec<Record> {
    let name = PersonName::parse("li.lei").unwrap();
    let password = PasswordHash {
        memory_kib: 19_456,
        passes: 2,
        salt: [1; 16],
        digest: [2; 32],
    };
    let roles = [crate::node::io::Role::Courier, crate::node::io::Role::Admin];
    vec![
        Record::Person(Box::new(Person {
            name: name.clone(),
            roles: roles.into(),
            courier: Some(interlock_core::ids::CourierId::parse("c7").unwrap()),
            merchant: None,
            password,
            enrolment: [3; 16],
            version: 300,
        })),
        Record::PersonWithdrawn(name),
    ]
}

fn of_mediation() -> Vec<Record> {
    let mediated = Mediated {
        provider: who("fengchao"),
        consumer: who("cainiao"),
        terms: terms(),
    };
    let answers = [
        (
            who("cainiao"),
            Answer::Countered {
                terms: [(wire("urn:agreement"), terms())].into(),
                reason: "shorter".into(),
            },
        ),
        (
            who("fengchao"),
            Answer::Accepted {
                signature: vec![2; 64],
            },
        ),
    ];
    vec![Record::Mediation(Box::new(Mediation {
        id: wire("urn:mediation"),
        mediator: who("postbureau"),
        revision: 3,
        version: 2,
        manifest: b"{}".to_vec(),
        signature: vec![1; 64],
        agreements: [(wire("urn:agreement"), mediated)].into(),
        note: "until it is settled".into(),
        answer_by: AT,
        answers: answers.into(),
        withdrawn: Some("no".into()),
        told: [(who("cainiao"), 2)].into(),
        ours: Some(Answer::Refused {
            reason: "no".into(),
        }),
        unsent: true,
        approved_by: vec!["li".into()],
        begun: false,
    }))]
}

fn of_delegates() -> Vec<Record> {
    let deposit = DepositId::from_bytes([7; 16]);
    [Some([9; 16]), None]
        .map(|link| Record::Delegated { deposit, link })
        .into()
}

fn of_cooperations() -> Vec<Record> {
    vec![
        Record::CooperationShown {
            cooperation: wire("urn:cooperation"),
            status: Box::new(status()),
        },
        Record::Reciprocity(Box::new(Reciprocity {
            agreement: wire("urn:agreement"),
            by: who("fengchao"),
            trigger: wire("urn:trigger"),
            at: AT,
            reason: "you stopped first".into(),
            over: false,
            carried_out: Some(AT),
            unsent: true,
        })),
        Record::BatchReceived(Box::new(BatchReceived {
            from: who("cainiao"),
            dataset: Dataset::CooperationStatus,
            lane: Lane::Live,
            next: 1,
            items: vec![ReceivedItem::Cooperation(status())],
        })),
    ]
}

fn status() -> CooperationStatus {
    CooperationStatus {
        manifest: [4; 32],
        parties: vec![who("cainiao"), who("fengchao")],
        end: AT,
        state: "in-force".into(),
        suspends_at: Some(AT),
        feed_age: "under-1-hour".into(),
    }
}

fn of_deletion() -> Vec<Record> {
    let parcel = ParcelId::from_bytes([1; 16]);
    let deposit = DepositId::from_bytes([2; 16]);
    vec![
        Record::HourEnded { hour: 415_624 },
        Record::Erased(Box::new(Erased {
            what: vec![
                ContentRef::Recipient(parcel),
                ContentRef::CodeSeen(parcel),
                ContentRef::Courier(deposit),
                ContentRef::Code(deposit),
                ContentRef::Contact(deposit),
                ContentRef::PushSecret(wire("t")),
            ],
            why: ErasureReason::Asked {
                parcel,
                by: Asker::Person("support".into()),
            },
        })),
        Record::Erased(Box::new(Erased {
            what: vec![ContentRef::Contact(deposit)],
            why: ErasureReason::Told { by: who("cainiao") },
        })),
        Record::PushSecret {
            transfer: wire("t"),
            secret: sealed(),
        },
        Record::ErasureTold {
            to: who("fengchao"),
            parcel,
            refused: Some("not-found".into()),
        },
        Record::ApiKeyWithdrawn {
            digest: [9; 32],
            by: "admin".into(),
        },
    ]
}

// tidy: long, one literal a record
fn of_keys_and_anchors() -> Vec<Record> {
    vec![
        Record::KeyRotated {
            of: who("sf"),
            rotation: KeyRotation::sign(
                &who("sf"),
                NodeKey::from_seed(&[1; 32]).signing_key(),
                NodeKey::from_seed(&[2; 32]).signing_key(),
            ),
        },
        Record::Anchored(Box::new(Anchored {
            epoch: 1,
            heads: vec![AnchoredHead {
                reader: who("sf"),
                epoch: 1,
                size: 300,
                root: [4; 32],
                salt: RequestId::from_bytes([5; 16]),
            }],
            filling: RequestId::from_bytes([6; 16]),
            note: "note".into(),
        })),
        Record::Cosigned {
            by: who("bureau"),
            line: "line".into(),
        },
        Record::Witnessed {
            of: who("sf"),
            epoch: 1,
            entries: vec![Blob(vec![7])],
            note: "note".into(),
        },
    ]
}

fn of_collection() -> Vec<Record> {
    use interlock_core::collection::{Finding, Sign};
    let finding = Finding {
        day: 17_318,
        sign: Sign::Undeposited,
        count: 335,
        of: 1_240,
        usual: 60,
        leaves: vec![12, 400],
    };
    vec![Record::OverCollected(Box::new(OverCollected {
        by: who("fengchao"),
        finding,
        epoch: 1,
    }))]
}

fn of_looks() -> Vec<Record> {
    let viewer = |name: &str, digest: u8| Viewer {
        caller: [digest; 32],
        name: name.into(),
    };
    let look = |what| {
        let by = viewer("li.lei", 1);
        Record::Looked(Box::new(Look { by, what }))
    };
    let parcel = ParcelId::from_bytes([1; 16]);
    let at = Timestamp::from_millis(1_496_246_400_000);
    vec![
        look(Looked::Parcel { parcel, form: None }),
        look(Looked::Round {
            parcels: [parcel].into(),
            form: Some(ContactForm::Masked),
        }),
        look(Looked::Shop(MerchantId::parse("m1").unwrap())),
        look(Looked::Phone(parcel)),
        look(Looked::Address(parcel)),
        look(Looked::Call(parcel)),
        Record::Wished {
            parcel,
            consent: Consent::Given,
            preference: Preference {
                no_locker: false,
                only_station: Some(StationId::parse("FC0001").unwrap()),
                not_before: None,
            },
            by: Asker::Person("orders".into()),
        },
        Record::CodeKey {
            parcel,
            key: CodeKey::from_bytes([3; 32]),
            by: Asker::Recipient,
        },
        Record::LetIn {
            name: "zhao".into(),
            by: "admin".into(),
        },
        Record::Reveal(Box::new(Reveal {
            id: RequestId::from_bytes([2; 16]),
            parcel,
            reason: "complaint".into(),
            reference: Some("TICKET-4711".into()),
            asked_by: viewer("li.lei", 1),
            asked_at: at,
            approved: Some((viewer("han.meimei", 2), at)),
            shown_at: None,
        })),
        Record::KeyAsked {
            name: "exchange".into(),
            role: crate::node::io::Role::Telephone,
            digest: [7; 32],
            by: "admin".into(),
        },
    ]
}

fn all() -> Vec<Record> {
    [
        of_agreements(),
        of_parcels(),
        of_exchange(),
        of_epochs(),
        of_people(),
        of_mediation(),
        of_deletion(),
        of_keys_and_anchors(),
        of_cooperations(),
        of_delegates(),
        of_collection(),
        of_looks(),
    ]
    .concat()
}

#[test]
fn every_record_reads_back() {
    for record in all() {
        let bytes = postcard::to_allocvec(&record).unwrap();
        assert_eq!(postcard::from_bytes::<Record>(&bytes).unwrap(), record);
    }
}

#[test]
fn every_variant_has_golden_bytes() {
    let mut variants = std::collections::BTreeSet::new();
    let mut text = String::new();
    for record in all() {
        let bytes = postcard::to_allocvec(&record).unwrap();
        variants.insert(bytes[0]);
        for byte in bytes {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    assert_eq!(variants.len(), 61, "a new variant needs a golden record");
    assert_eq!(variants.last(), Some(&60), "variants are added at the end");
    expect_test::expect_file!["golden.txt"].assert_eq(&text);
}
