//! What is under way between nodes, and carrying out what a node wants.

use interlock::exchange::http::{encode_answer, encode_request, parse_answer, parse_request};
use interlock::node::io::{
    CallFailure, DeliveryFailure, Effect, Guard, Input, LocalAnswer, Message, PeerAnswer,
};
use interlock_core::time::Timestamp;

use crate::world::{AskedOf, Due, Exchanged, NodeIx, Sent, Waiting, World};

/// One way through the simulated network in fair weather, in milliseconds.
pub(crate) const LATENCY_MS: i64 = 3;
/// After this long a caller notices that nothing comes any more, in milliseconds.
const LOSS_NOTICED_MS: i64 = 30_000;

fn broken() -> CallFailure {
    CallFailure::Unreachable("the connection broke".into())
}

impl World {
    // tidy: long, one arm for each kind of thing that is due
    /// Does the next thing that is due; false if there is none, or none before `until`.
    pub(crate) fn next(&mut self, until: Option<Timestamp>) -> bool {
        let Some((&(at, _), _)) = self.due.first_key_value() else {
            return false;
        };
        if until.is_some_and(|until| at > until) {
            return false;
        }
        let Some((_, due)) = self.due.pop_first() else {
            return false;
        };
        self.now = self.now.max(at);
        match due {
            Due::Wake { node } => {
                if self
                    .nodes
                    .get(node)
                    .is_some_and(|n| n.up && n.wake.is_some_and(|wake| wake <= self.now))
                {
                    self.step(node, Input::Tick);
                }
            }
            Due::Request { to, waiting } => self.arrive(to, *waiting),
            Due::Shown {
                node,
                epoch,
                effect,
            } => {
                if self
                    .nodes
                    .get(node)
                    .is_some_and(|n| n.up && n.epoch == epoch)
                {
                    self.show(node, *effect);
                }
            }
            Due::Answer {
                to,
                epoch,
                call,
                outcome,
            } => {
                if self.nodes.get(to).is_some_and(|n| n.up && n.epoch == epoch) {
                    self.step(to, Input::Answered { call, outcome });
                }
            }
            Due::Gateway {
                node,
                epoch,
                message,
            } => self.gateway(node, epoch, *message),
            Due::Read {
                node,
                epoch,
                wanted,
            } => {
                if self
                    .nodes
                    .get(node)
                    .is_some_and(|n| n.up && n.epoch == epoch)
                {
                    let read = self.read_leaves(node, &wanted);
                    let outcome = read.ok_or_else(|| "the journal cannot be read".into());
                    self.step(node, Input::LeavesRead { wanted, outcome });
                }
            }
            Due::Noticed { node, epoch, id } => {
                if self
                    .nodes
                    .get(node)
                    .is_some_and(|n| n.up && n.epoch == epoch)
                {
                    let message = id;
                    let outcome = Ok(());
                    self.step(node, Input::Delivered { message, outcome });
                }
            }
        }
        true
    }

    fn gateway(&mut self, ix: NodeIx, epoch: u32, message: Message) {
        let id = message.id;
        if self.gateways_down {
            let outcome = Err(DeliveryFailure::Retry("down".into()));
            if self.nodes.get(ix).is_some_and(|n| n.up && n.epoch == epoch) {
                let message = id;
                self.step(ix, Input::Delivered { message, outcome });
            }
            return;
        }
        if self.seen_messages.insert((ix, id)) {
            let Message {
                to,
                text_zh,
                text_en,
                ..
            } = message;
            self.sent.push(Sent {
                by: ix,
                id,
                to,
                text_zh,
                text_en,
            });
        } else {
            self.repeated_messages += 1;
        }
        if self.nodes.get(ix).is_some_and(|n| n.up && n.epoch == epoch) {
            self.step(
                ix,
                Input::Delivered {
                    message: id,
                    outcome: Ok(()),
                },
            );
        }
    }

    fn arrive(&mut self, to: NodeIx, mut waiting: Waiting) {
        waiting.asked_at = self.now;
        let (from, request) = (waiting.from, waiting.request.clone());
        if !self.cut.contains(&(from, to))
            && let Some(asked) = self.replaced.get_mut(&to)
        {
            return asked.push(AskedOf {
                from,
                request,
                waiting,
            });
        }
        let up = self.nodes.get(to).is_some_and(|n| n.up);
        let (Some(sender), true) = (
            self.nodes.get(from).map(|n| n.config.id.clone()),
            up && !self.cut.contains(&(from, to)),
        ) else {
            return self.answer_later(&waiting, Err(CallFailure::Unreachable("no route".into())));
        };
        let wire = encode_request(&request);
        let parsed = parse_request(wire.post, &wire.target, &wire.body);
        let reply = self.reply();
        match parsed {
            Ok(request) => {
                self.waiting.insert((to, reply), waiting);
                self.step(
                    to,
                    Input::Peer {
                        reply,
                        from: sender,
                        request,
                    },
                );
            }
            Err(problem) => self.answered(to, &waiting, &PeerAnswer::Problem(problem)),
        }
    }

    /// An answer goes back over the wire.
    pub(crate) fn answered(&mut self, at: NodeIx, waiting: &Waiting, answer: &PeerAnswer) {
        let wire = encode_request(&waiting.request);
        let (status, body) = encode_answer(answer);
        let outcome = parse_answer(&waiting.request, status, &body).map_err(CallFailure::Rubbish);
        self.exchanged.push(Exchanged {
            at: waiting.asked_at,
            answered_at: self.now,
            from: waiting.from,
            to: at,
            request: (wire.post, wire.target, wire.body),
            answer: (status, body),
        });
        let outcome = if self.cut.contains(&(at, waiting.from)) {
            Err(CallFailure::TimedOut)
        } else {
            outcome
        };
        self.answer_later(waiting, outcome);
    }

    pub(crate) fn answer_later(
        &mut self,
        waiting: &Waiting,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        if waiting.copy {
            return;
        }
        let fate = self.weather.answer(&mut self.chance);
        self.struck.lost += u64::from(fate.lost);
        let (after_ms, outcome) = match fate.lost {
            true => (LOSS_NOTICED_MS, Err(broken())),
            false => (fate.way_ms, outcome),
        };
        let due = Due::Answer {
            to: waiting.from,
            epoch: waiting.epoch,
            call: waiting.call,
            outcome,
        };
        self.at(self.now.plus_ms(after_ms), due);
    }

    /// A call sets out.
    pub(crate) fn send(&mut self, to: NodeIx, waiting: Waiting) {
        let fate = self.weather.request(&mut self.chance);
        self.struck.lost += u64::from(fate.lost);
        if let Some(after_ms) = fate.again_ms {
            self.struck.repeated += 1;
            let copy = Waiting {
                copy: true,
                ..waiting.clone()
            };
            let waiting = Box::new(copy);
            self.at(self.now.plus_ms(after_ms), Due::Request { to, waiting });
        }
        if fate.lost {
            let due = Due::Answer {
                to: waiting.from,
                epoch: waiting.epoch,
                call: waiting.call,
                outcome: Err(broken()),
            };
            return self.at(self.now.plus_ms(LOSS_NOTICED_MS), due);
        }
        let waiting = Box::new(waiting);
        self.at(self.now.plus_ms(fate.way_ms), Due::Request { to, waiting });
    }

    pub(crate) fn at(&mut self, at: Timestamp, due: Due) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), due);
    }

    pub(crate) fn step(&mut self, ix: NodeIx, input: Input) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(ix).filter(|n| n.up) else {
            return;
        };
        let clock = node.clock_at(now);
        let mut rng = node.rng_at(now);
        let effects = node.node.step(input, clock, &mut rng);
        node.stepped();
        self.carry_out(ix, effects, clock.latest);
    }

    /// Lets a node be woken when it wants to be.
    pub(crate) fn schedule_wake(&mut self, ix: NodeIx) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(ix).filter(|n| n.up) else {
            return;
        };
        let wake = node.node.next_wake();
        let at = wake.map(|at| node.world_time(at).max(now.plus_ms(1)));
        let changed = node.wake != at;
        node.wake = at;
        if let Some(at) = at.filter(|_| changed) {
            self.at(at, Due::Wake { node: ix });
        }
    }

    /// Lets others see an effect once its step is durable; an answer to a partner, and one that may come too late,
    /// takes its time.
    pub(crate) fn show_in_time(&mut self, ix: NodeIx, effect: Effect) {
        let takes_time = matches!(
            effect,
            Effect::ReplyPeer { .. } | Effect::ReplyLocal { guard: Some(_), .. }
        );
        if self.answer_ms_max == 0 || !takes_time {
            return self.show(ix, effect);
        }
        let late_ms = (self.chance.draw() % u64::from(self.answer_ms_max)) as i64;
        let due = Due::Shown {
            node: ix,
            epoch: self.nodes.get(ix).map_or(0, |n| n.epoch),
            effect: Box::new(effect),
        };
        self.at(self.now.plus_ms(late_ms), due);
    }

    // tidy: long, one arm an effect
    pub(crate) fn show(&mut self, ix: NodeIx, effect: Effect) {
        let epoch = self.nodes.get(ix).map_or(0, |n| n.epoch);
        match effect {
            Effect::ReplyLocal { to, answer, guard } => {
                let now = self.now;
                let read = self.nodes.get_mut(ix).map(|node| node.clock_at(now).latest);
                let over = guard.and_then(|guard| {
                    let late = read.is_none_or(|latest| latest >= guard.until);
                    late.then_some(guard.instead)
                });
                let answer = over.map_or(answer, LocalAnswer::Problem);
                self.answers.insert(to, answer);
            }
            Effect::ReplyPeer { to, answer, guard } => {
                let Some(waiting) = self.waiting.remove(&(ix, to)) else {
                    return;
                };
                let now = self.now;
                let read = self.nodes.get_mut(ix).map(|node| node.clock_at(now).latest);
                let over = |guard: &Guard| read.is_none_or(|latest| latest >= guard.until);
                match guard.filter(over) {
                    None => self.answered(ix, &waiting, &answer),
                    Some(guard) => {
                        let refused = interlock::node::problem::denial(
                            interlock_core::decide::DenialReason::TermEnded,
                        );
                        self.answered(ix, &waiting, &PeerAnswer::Problem(refused));
                        self.step(
                            ix,
                            Input::Voided {
                                reply: to,
                                to: guard.to,
                                agreement: guard.agreement,
                            },
                        );
                    }
                }
            }
            Effect::Call {
                call, to, request, ..
            } => {
                let target = self.nodes.iter().position(|n| n.config.id == to);
                let Some(to) = target else { return };
                let waiting = Waiting {
                    from: ix,
                    epoch,
                    call,
                    request,
                    asked_at: self.now,
                    copy: false,
                };
                self.send(to, waiting);
            }
            Effect::ReadLeaves(wanted) => {
                self.at(
                    self.now.plus_ms(LATENCY_MS),
                    Due::Read {
                        node: ix,
                        epoch,
                        wanted,
                    },
                );
            }
            Effect::Deliver(message) => {
                let due = Due::Gateway {
                    node: ix,
                    epoch,
                    message: Box::new(message),
                };
                self.at(self.now.plus_ms(LATENCY_MS), due);
            }
            Effect::Notify(notice) => {
                let id = notice.id;
                self.notices.push((ix, notice));
                let due = Due::Noticed {
                    node: ix,
                    epoch,
                    id,
                };
                self.at(self.now.plus_ms(LATENCY_MS), due);
            }
            // Nobody in this world is a connector.
            Effect::ReplyConnector { .. }
            | Effect::Push(_)
            | Effect::RotateSigningKey(_)
            | Effect::PutKey { .. }
            | Effect::DestroyKey { .. }
            | Effect::DestroyHour { .. }
            | Effect::Append(_) => {}
        }
    }
}
