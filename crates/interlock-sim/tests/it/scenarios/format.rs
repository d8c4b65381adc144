//! What a scenario's file says.

use interlock_core::time::{HOUR_MS, Timestamp};
use interlock_sim::NodeIx;
use serde::Deserialize;

use crate::support::{CAINIAO, FENGCHAO, JD, MIDNIGHT, SF};

/// A scenario. Hours count from the first midnight.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// From which everything is drawn.
    pub seed: u64,
    /// Parcels a day, spread evenly; three in four are Taobao's.
    pub parcels_a_day: u32,
    /// Parcels are announced from this hour on.
    pub first_hour: i64,
    /// The scenario ends.
    pub last_hour: i64,
    /// What the terms say of what arises while nothing is in force.
    pub backlog: BacklogWord,
    /// Run-off of the terms; 0 for none.
    pub run_off_hours: i64,
    /// What happens.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BacklogWord {
    Hold,
    Drop,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub hour: i64,
    pub action: Action,
}

/// One action.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// New agreements between the platform, the operator and the carrier.
    Agree {
        name: String,
        until_hour: i64,
        covers_from_hour: i64,
    },
    /// Two nodes do not reach each other.
    Cut([Name; 2]),
    /// They do again.
    Mend([Name; 2]),
    /// A node is down.
    Stop(Name),
    /// It is up again.
    Start(Name),
    /// What the network does.
    Weather(WeatherWord),
    /// So many times the parcels.
    Pace(u32),
    /// All further parcels are one owner's.
    AllOf(Name),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeatherWord {
    Fair,
    Storm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    Cainiao,
    Fengchao,
    Sf,
    Jd,
}

impl Name {
    pub const fn ix(self) -> NodeIx {
        match self {
            Self::Cainiao => CAINIAO,
            Self::Fengchao => FENGCHAO,
            Self::Sf => SF,
            Self::Jd => JD,
        }
    }
}

/// The instant of an hour.
pub const fn at(hour: i64) -> Timestamp {
    MIDNIGHT.plus_ms(hour * HOUR_MS)
}

impl Scenario {
    /// Reads a file; what is wrong is named with its place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if scenario.first_hour >= scenario.last_hour {
            return Err("`first_hour` must be before `last_hour`".into());
        }
        scenario.steps.sort_by_key(|step| step.hour);
        Ok(scenario)
    }
}
