//! The load: a carrier's order system that reports events, a courier that deposits parcels.
//!
//! INVARIANT: each asks for one thing at a time and repeats it, with the same key and body, until the
//! node answers; only then is it acknowledged. A refusal other than for being busy is a failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::client::Client;
use super::super::documents::{STORY_EVENTS, TRACKED_FROM, story, waybill};
use super::{COMPARTMENTS, Three};

const AGAIN_AFTER: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(15);

/// What was acknowledged so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Acknowledged {
    /// Parcels of which all events are.
    pub(super) stories: u64,
    /// Ids of deposits whose door is closed, by parcel from 0 on.
    pub(super) deposits: Vec<String>,
}

impl Acknowledged {
    /// Events of the carrier.
    pub(super) const fn events(&self) -> u64 {
        self.stories * STORY_EVENTS
    }
}

/// The load and its record.
pub(super) struct Work {
    carrier: Client,
    operator: Client,
    parcels: u64,
    acknowledged: Mutex<Acknowledged>,
    failure: Mutex<Option<String>>,
    stop: AtomicBool,
    paused: AtomicBool,
}

impl Work {
    /// Of parcels that were announced.
    pub(super) fn new(three: &Three, parcels: u64) -> Self {
        Self {
            carrier: Client::of(&three.carrier.place),
            operator: Client::of(&three.operator.place),
            parcels,
            acknowledged: Mutex::default(),
            failure: Mutex::default(),
            stop: AtomicBool::new(false),
            paused: AtomicBool::new(false),
        }
    }

    /// Starts it.
    pub(super) fn start(self: &Arc<Self>) -> [JoinHandle<()>; 2] {
        let (reporting, depositing) = (Arc::clone(self), Arc::clone(self));
        [
            std::thread::spawn(move || reporting.report()),
            std::thread::spawn(move || depositing.deposit()),
        ]
    }

    /// Ends it after what is under way.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether nothing new is begun, until it is called again; what is under way goes on.
    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// What was acknowledged until now.
    pub(super) fn acknowledged(&self) -> Acknowledged {
        let acknowledged = self.acknowledged.lock();
        acknowledged.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the load ended, if it has.
    pub(super) fn failed(&self) -> Option<String> {
        let failure = self.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn report(&self) {
        for parcel in 0..self.parcels {
            let body = story(TRACKED_FROM + parcel);
            if self
                .until_answered(&self.carrier, "/events", None, &body)
                .is_none()
            {
                return;
            }
            self.note(|acknowledged| acknowledged.stories += 1);
            self.rest();
        }
    }

    fn deposit(&self) {
        for parcel in 0..self.parcels {
            let body = json!({
                "waybill": format!("sf/{}", waybill(parcel)),
                "station": format!("S{}", parcel / COMPARTMENTS),
                "size": "small",
                "courier": "c-17",
            });
            let key = format!("d-{parcel}");
            let opened = self.until_answered(&self.operator, "/deposits", Some(&key), &body);
            let Some(opened) = opened else { return };
            let Some(id) = opened.get("id").and_then(Value::as_str) else {
                return self.fail(format!("a deposit without `id`: {opened}"));
            };
            let path = format!("/deposits/{id}/confirm");
            if self
                .until_answered(&self.operator, &path, None, &json!({}))
                .is_none()
            {
                return;
            }
            self.note(|acknowledged| acknowledged.deposits.push(id.to_owned()));
            self.rest();
        }
    }

    fn rest(&self) {
        std::thread::sleep(PAUSE);
        while self.paused.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(PAUSE);
        }
    }

    /// Posts until there is an answer; `None` if the load is to end.
    fn until_answered(
        &self,
        client: &Client,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Option<Value> {
        while !self.stop.load(Ordering::Relaxed) {
            match client.try_ask("POST", path, key, Some(body)) {
                Ok((200..=299, answer)) => return Some(answer),
                Ok((503, _)) | Err(_) => std::thread::sleep(AGAIN_AFTER),
                Ok((status, answer)) => {
                    self.fail(format!("`POST {path}` got {status}: {answer}"));
                    return None;
                }
            }
        }
        None
    }

    fn note(&self, change: impl FnOnce(&mut Acknowledged)) {
        let mut acknowledged = self
            .acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut acknowledged);
    }

    fn fail(&self, why: String) {
        self.stop();
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(why);
    }
}
