//! What a benchmark found, and how it is shown.
//!
//! INVARIANT: a ratio is of two values of one run. It does not know how anything is measured.

use serde_json::json;

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// The value at most this.
    AtMost(f64),
    /// The value at least this.
    AtLeast(f64),
    /// The value at least this share of the floor.
    RatioAtLeast(f64),
    /// The value at most this share of the floor.
    RatioAtMost(f64),
    /// Nothing: it is shown beside others.
    Shown,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    /// Its name: that of its benchmark, or that and what of it.
    pub(crate) name: &'static str,
    /// What was measured.
    pub(crate) value: f64,
    /// Unit of the value, the floor and a goal that is no ratio.
    pub(crate) unit: &'static str,
    /// The best that this machine could do in this run, if there is such a thing.
    pub(crate) floor: Option<f64>,
    /// What it must be.
    pub(crate) goal: Goal,
    /// What it is, for people.
    pub(crate) about: String,
}

impl Figure {
    /// The value as a share of the floor.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.floor
            .filter(|floor| *floor > 0.0)
            .map(|floor| self.value / floor)
    }

    /// Whether the goal is met; what has none is.
    pub(crate) fn met(&self) -> bool {
        match self.goal {
            Goal::AtMost(most) => self.value <= most,
            Goal::AtLeast(least) => self.value >= least,
            Goal::RatioAtLeast(least) => self.ratio().is_some_and(|ratio| ratio >= least),
            Goal::RatioAtMost(most) => self.ratio().is_some_and(|ratio| ratio <= most),
            Goal::Shown => true,
        }
    }

    /// One JSON object. `goalOf` says what `goal` is compared with.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let (goal, of) = match self.goal {
            Goal::AtMost(goal) => (Some(goal), Some("value-at-most")),
            Goal::AtLeast(goal) => (Some(goal), Some("value-at-least")),
            Goal::RatioAtLeast(goal) => (Some(goal), Some("ratio-at-least")),
            Goal::RatioAtMost(goal) => (Some(goal), Some("ratio-at-most")),
            Goal::Shown => (None, None),
        };
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "floor": self.floor,
            "ratio": self.ratio(),
            "goal": goal,
            "goalOf": of,
            "met": self.met(),
        })
    }

    /// One line of the table.
    pub(crate) fn to_line(&self) -> String {
        let verdict = match (self.goal, self.met()) {
            (Goal::Shown, _) => "",
            (_, true) => "met",
            (_, false) => "MISSED",
        };
        let goal = match self.goal {
            Goal::AtMost(goal) => format!("<= {}", number(goal)),
            Goal::AtLeast(goal) => format!(">= {}", number(goal)),
            Goal::RatioAtLeast(goal) => format!(">= x{goal}"),
            Goal::RatioAtMost(goal) => format!("<= x{goal}"),
            Goal::Shown => String::new(),
        };
        let floor = match (self.floor, self.ratio()) {
            (Some(floor), Some(ratio)) => format!("x{ratio:.2} of {}", number(floor)),
            _ => String::new(),
        };
        format!(
            "{:<16} {:>9} {:<10} {goal:<9} {verdict:<6} {floor:<18} {}",
            self.name,
            number(self.value),
            self.unit,
            self.about
        )
        .trim_end()
        .to_owned()
    }
}

/// Four digits that count, without an exponent.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if v < 10.0 => format!("{value:.3}"),
        v if v < 1_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The middle value; of an even number the upper of the two.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, floor: Option<f64>, goal: Goal) -> Figure {
        Figure {
            name: "start",
            value,
            unit: "s",
            floor,
            goal,
            about: "from exec to the first answer".into(),
        }
    }

    #[test]
    fn a_figure_is_shown_with_floor_ratio_and_goal() {
        let missed = figure(0.25, Some(0.125), Goal::AtMost(0.2));
        assert_eq!(
            missed.to_json().to_string(),
            "{\"floor\":0.125,\"goal\":0.2,\"goalOf\":\"value-at-most\",\"met\":false,\
             \"name\":\"start\",\"ratio\":2.0,\"unit\":\"s\",\"value\":0.25}"
        );
        let line = missed.to_line();
        assert!(line.contains("MISSED") && line.contains("x2.00"), "{line}");
        let bare = figure(0.2, None, Goal::AtMost(0.2)).to_json();
        assert!(bare["floor"].is_null() && bare["ratio"].is_null() && bare["met"] == true);
        let shown = figure(0.2, Some(0.4), Goal::Shown);
        assert!(shown.to_json()["goal"].is_null());
        assert!(!shown.to_line().contains("met") && shown.to_line().contains("x0.50"));
    }

    #[test]
    fn goals_are_of_the_value_or_of_its_share_of_the_floor() {
        for (value, floor, goal, met) in [
            (2.0, None, Goal::AtLeast(2.0), true),
            (1.9, None, Goal::AtLeast(2.0), false),
            (2.0, None, Goal::AtMost(2.0), true),
            (7.0, Some(10.0), Goal::RatioAtLeast(0.7), true),
            (6.9, Some(10.0), Goal::RatioAtLeast(0.7), false),
            (7.0, Some(7.0), Goal::RatioAtMost(1.0), true),
            (7.1, Some(7.0), Goal::RatioAtMost(1.0), false),
            (6.9, None, Goal::RatioAtLeast(0.7), false),
            (6.9, Some(0.0), Goal::RatioAtLeast(0.7), false),
            (6.9, Some(10.0), Goal::Shown, true),
        ] {
            assert_eq!(figure(value, floor, goal).met(), met, "{value} {goal:?}");
        }
    }

    #[test]
    fn the_median_is_no_mean() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }
}
