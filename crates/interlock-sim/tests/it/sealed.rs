//! Contacts that only a messenger reads.

use interlock::exchange::wire::Contact;
use interlock::identity::sealing::{Messenger, MessengerSecret};
use interlock::node::io::DepositAction;
use interlock_core::contact::{ContactForm, Phone};
use interlock_core::dataset::Dataset;
use interlock_core::ids::ParticipantId;
use interlock_sim::SeededRng;

use crate::support::*;

const PARCEL: &str = "SF1000000000001";
const PHONE: &str = "13800000001";

/// A network whose contacts may leave sealed or leased, with Cainiao's messenger if it has one.
fn begin(seed: u64, messenger: Option<&MessengerSecret>) -> Network {
    let mut net = Network::with_terms(seed, |terms| {
        if terms.dataset == Dataset::RecipientContact {
            terms.contact_forms = [ContactForm::Sealed, ContactForm::Virtual].into();
        }
    });
    if let Some(secret) = messenger {
        let messenger = Messenger {
            id: ParticipantId::parse("did:web:sms.example").unwrap(),
            key: secret.public(),
        };
        net.world.seals_to(CAINIAO, messenger);
        net.world.kill(CAINIAO);
        assert!(net.world.restart(CAINIAO));
    }
    net.put_station(FENGCHAO, "FC0001", 4);
    net.put_parcel(PARCEL, "taobao", CAINIAO, PHONE);
    net.world.settle();
    net
}

/// Deposits the parcel; to whom the message went.
fn told(net: &mut Network) -> Contact {
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    let sent = net.world.sent.last().expect("a message");
    assert_eq!(sent.by, FENGCHAO);
    sent.to.clone()
}

#[test]
fn an_operator_passes_on_what_only_the_messenger_reads() {
    let secret = MessengerSecret::draw(&mut SeededRng::new(530, "messenger"));
    let mut net = begin(530, Some(&secret));
    let Contact::Sealed {
        messenger,
        ciphertext,
    } = told(&mut net)
    else {
        panic!("the most restrictive form that serves leaves");
    };
    assert_eq!(messenger.as_str(), "did:web:sms.example");
    let fengchao = net.world.id(FENGCHAO).unwrap().clone();
    let jd = net.world.id(JD).unwrap().clone();
    let now = net.world.now();
    assert_eq!(
        secret.open(&fengchao, &ciphertext.0, now),
        Some(Phone::parse(PHONE).unwrap())
    );
    assert_eq!(secret.open(&jd, &ciphertext.0, now), None);
    for exchanged in net.seen_by(FENGCHAO) {
        let answer = String::from_utf8_lossy(&exchanged.answer.1);
        assert!(!answer.contains(PHONE), "not in the clear");
    }
    let view = net.parcel(FENGCHAO, PARCEL);
    assert!(
        view["deposit"]["phone"].is_null(),
        "nothing to show a courier"
    );
    net.assert_replay_of(&[CAINIAO, FENGCHAO]);
}

#[test]
fn without_a_messenger_the_next_form_leaves() {
    let mut net = begin(531, None);
    let leased = told(&mut net);
    assert!(
        matches!(leased, Contact::Virtual { .. }),
        "{:?}",
        leased.form()
    );
}
