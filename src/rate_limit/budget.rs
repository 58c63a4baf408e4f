//! The arithmetic of one budget: what a replica may give out by itself, and when it asks Redis for more.
//!
//! Nothing here waits or knows the time: a window is a number, and an answer of Redis is an argument.

/// The budget of one caller in one window, as one replica sees it.
#[derive(Debug, Default)]
pub(super) struct Budget {
    window: u64,
    /// Requests that were let in here.
    used: u32,
    /// What Redis gave to this replica.
    leased: u32,
    /// What the other replicas had when Redis was last asked.
    others: u32,
    /// How much is asked for next.
    block: u32,
    /// Requests that wait for the next answer of Redis.
    waiting: u32,
    /// Redis has nothing left in this window.
    exhausted: bool,
    /// An answer of Redis is on its way.
    asked: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    /// It is let in.
    Allowed,
    /// The window has nothing left.
    Refused,
    /// Redis has to be asked first. Counted among those that wait until [`Budget::waited`].
    Wait,
}

/// What Redis is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// In which window.
    pub window: u64,
    /// What was used without a lease, and is to be counted.
    pub owed: u32,
    /// How much more is wanted.
    pub want: u32,
}

/// What Redis answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// What all replicas have by now.
    pub total: u32,
    /// What of it is new for the one who asked, beside what it owed.
    pub granted: u32,
}

impl Budget {
    /// The smallest block, which a caller of few requests leaves unused at most.
    const LEAST: u32 = 2;

    /// The largest block: what a replica may be left with when all requests of a caller go to another one.
    fn most(limit: u32) -> u32 {
        (limit / 50).max(Self::LEAST)
    }

    /// How many requests are let in before Redis was asked at all, so that who calls once in a while does not wait.
    /// All that is ever given out too much, by each replica.
    const fn credit(limit: u32) -> u32 {
        limit / 1000
    }

    /// Begins a window, unless it has begun. A clock that was put back goes on with the window it was in.
    pub fn enter(&mut self, window: u64, limit: u32) {
        if window > self.window {
            // As fast as in the window before, about.
            let block = (self.used / 16).clamp(Self::LEAST, Self::most(limit));
            *self = Self {
                window,
                block,
                ..Self::default()
            };
        }
    }

    /// Lets a request in, or not. `alone` says that Redis is not to be asked.
    pub fn draw(&mut self, limit: u32, alone: bool) -> Draw {
        let open = if self.used < self.leased {
            true
        } else if alone {
            self.remaining(limit) > 0
        } else if self.exhausted {
            false
        } else if self.leased == 0 && self.used < Self::credit(limit) {
            true
        } else {
            self.waiting += 1;
            return Draw::Wait;
        };
        if open {
            self.used += 1;
            Draw::Allowed
        } else {
            Draw::Refused
        }
    }

    /// One that was to wait waits no more.
    pub fn waited(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// What Redis is to be asked now, before what there is runs out; not while an answer is on its way.
    pub fn ask(&mut self, limit: u32) -> Option<Ask> {
        let left = self.leased.saturating_sub(self.used);
        if self.asked || self.exhausted || left > self.block / 2 {
            return None;
        }
        self.asked = true;
        Some(Ask {
            window: self.window,
            owed: self.owed(),
            want: self.block.saturating_add(self.waiting).min(limit),
        })
    }

    /// Takes what Redis answered.
    pub fn take(&mut self, ask: Ask, grant: Grant, limit: u32) {
        if ask.window != self.window {
            return;
        }
        self.asked = false;
        self.leased = self.leased.saturating_add(ask.owed + grant.granted);
        self.others = grant.total.saturating_sub(self.leased);
        self.exhausted = grant.granted == 0;
        self.block = (self.block * 2).min(Self::most(limit));
    }

    /// There is no answer.
    pub fn give_up(&mut self, ask: Ask) {
        if ask.window == self.window {
            self.asked = false;
        }
    }

    /// How many more requests the window has for the caller, as far as this replica knows.
    pub fn remaining(&self, limit: u32) -> u32 {
        limit.saturating_sub(self.others).saturating_sub(self.used)
    }

    fn owed(&self) -> u32 {
        self.used.saturating_sub(self.leased)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Redis, as the script in it does it; see `shared.rs`.
    fn grant(total: &mut u32, ask: Ask, limit: u32) -> Grant {
        *total += ask.owed;
        let left = limit.saturating_sub(*total);
        let granted = if left == 0 {
            0
        } else {
            ask.want.min((left / 8).max(1))
        };
        *total += granted;
        Grant {
            total: *total,
            granted,
        }
    }

    /// What happens to a replica.
    #[derive(Clone, Debug)]
    enum Step {
        /// A request comes.
        Request(usize),
        /// Redis answers what was asked.
        Answer(usize),
        /// Redis does what was asked, and the answer is lost.
        Lost(usize),
        /// A request comes while Redis is away.
        Alone(usize),
    }

    fn steps(replicas: usize, alone: bool) -> impl Strategy<Value = Vec<Step>> {
        let step = (0..replicas, 0..20_u8).prop_map(move |(replica, kind)| match kind {
            0..=13 => Step::Request(replica),
            14..=17 => Step::Answer(replica),
            18 if alone => Step::Alone(replica),
            _ => Step::Lost(replica),
        });
        prop::collection::vec(step, 0..3000)
    }

    struct Replica {
        budget: Budget,
        asked: Option<Ask>,
        let_in: u32,
    }

    fn run(replicas: usize, limit: u32, steps: &[Step]) -> (Vec<Replica>, u32) {
        let mut total = 0;
        let mut all: Vec<Replica> = (0..replicas)
            .map(|_| {
                let mut budget = Budget::default();
                budget.enter(1, limit);
                Replica {
                    budget,
                    asked: None,
                    let_in: 0,
                }
            })
            .collect();
        for step in steps {
            let (Step::Request(index)
            | Step::Answer(index)
            | Step::Lost(index)
            | Step::Alone(index)) = step;
            let replica = &mut all[*index];
            match step {
                Step::Request(_) | Step::Alone(_) => {
                    let alone = matches!(step, Step::Alone(_));
                    match replica.budget.draw(limit, alone) {
                        Draw::Allowed => replica.let_in += 1,
                        Draw::Refused => {}
                        Draw::Wait => replica.budget.waited(),
                    }
                    if !alone {
                        replica.asked = replica.asked.or_else(|| replica.budget.ask(limit));
                    }
                }
                Step::Answer(_) => {
                    if let Some(ask) = replica.asked.take() {
                        let grant = grant(&mut total, ask, limit);
                        replica.budget.take(ask, grant, limit);
                    }
                }
                Step::Lost(_) => {
                    if let Some(ask) = replica.asked.take() {
                        grant(&mut total, ask, limit);
                        replica.budget.give_up(ask);
                    }
                }
            }
        }
        (all, total)
    }

    proptest! {
        #[test]
        fn replicas_together_give_out_no_more_than_the_limit_and_their_credit(
            limit in 1_u32..3000, replicas in 1_usize..6, steps in steps(5, false)
        ) {
            let steps: Vec<_> = steps.into_iter().filter(|step| {
                let (Step::Request(index) | Step::Answer(index) | Step::Lost(index) | Step::Alone(index)) = step;
                *index < replicas
            }).collect();
            let (all, _) = run(replicas, limit, &steps);
            let let_in: u32 = all.iter().map(|replica| replica.let_in).sum();
            let credit = Budget::credit(limit) * u32::try_from(replicas).expect("few");
            prop_assert!(let_in <= limit + credit, "{let_in} of {limit}");
            for replica in &all {
                // What one holds unused is little.
                let held = replica.budget.leased.saturating_sub(replica.budget.used);
                prop_assert!(held <= 2 * Budget::most(limit), "{held} of {limit}");
            }
        }

        #[test]
        fn a_replica_alone_keeps_the_limit_and_settles_it(limit in 1_u32..3000, steps in steps(1, true)) {
            let (mut all, mut total) = run(1, limit, &steps);
            let mut replica = all.pop().expect("one");
            prop_assert!(replica.let_in <= limit + Budget::credit(limit));
            // What was asked before the last request, and what that one owes.
            for _ in 0..2 {
                if let Some(ask) = replica.asked.take().or_else(|| replica.budget.ask(limit)) {
                    let grant = grant(&mut total, ask, limit);
                    replica.budget.take(ask, grant, limit);
                }
            }
            prop_assert!(total >= replica.let_in.min(limit), "Redis knows of {total} of {}", replica.let_in);
        }
    }

    #[test]
    fn all_of_the_limit_is_there_for_one_who_takes_it() {
        for limit in [1, 2, 10, 999, 1000, 5000] {
            let steps: Vec<_> = (0..4 * limit)
                .flat_map(|_| [Step::Request(0), Step::Answer(0)])
                .collect();
            let (all, total) = run(1, limit, &steps);
            assert_eq!((all[0].let_in, total), (limit, limit));
        }
    }

    #[test]
    fn redis_is_asked_seldom_and_before_anyone_waits() {
        let (limit, mut total) = (1000, 0);
        let mut budget = Budget::default();
        budget.enter(1, limit);
        let mut asks = 0;
        for request in 0..900 {
            assert_eq!(
                budget.draw(limit, false),
                Draw::Allowed,
                "request {request}"
            );
            if let Some(ask) = budget.ask(limit) {
                asks += 1;
                let grant = grant(&mut total, ask, limit);
                budget.take(ask, grant, limit);
            }
        }
        assert!(asks <= 60, "{asks} round trips for 900 requests");
        assert!(total <= 940, "{total} taken for 900 requests");
    }

    #[test]
    fn a_new_window_begins_anew_and_a_late_answer_is_of_the_old_one() {
        let limit = 1000;
        let mut budget = Budget::default();
        budget.enter(1, limit);
        assert_eq!(budget.draw(limit, false), Draw::Allowed);
        let ask = budget.ask(limit).expect("an ask");
        budget.enter(2, limit);
        budget.take(
            ask,
            Grant {
                total: 1000,
                granted: 0,
            },
            limit,
        );
        assert_eq!(budget.remaining(limit), 1000);
        assert_eq!(budget.draw(limit, false), Draw::Allowed);
        budget.enter(1, limit);
        assert_eq!(budget.remaining(limit), 999, "the clock was put back");
    }
}
