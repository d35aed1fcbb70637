//! One round of work for many callers: whoever comes while a round is under way shares the next one.
//!
//! A statement for thirty callers costs little more than a statement for one. Nobody waits for company: a round
//! begins at once when no other is under way, and takes along whoever asked meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Callers with one kind of question, and the rounds that answer them.
#[derive(Debug)]
pub struct Gather<Q, A> {
    /// Most questions of one round.
    most: usize,
    /// Rounds side by side.
    rounds: usize,
    state: Mutex<State<Q, A>>,
}

#[derive(Debug)]
struct State<Q, A> {
    waiting: VecDeque<(Q, oneshot::Sender<A>)>,
    under_way: usize,
}

impl<Q, A> Gather<Q, A> {
    pub fn new(most: usize, rounds: usize) -> Self {
        Self { most, rounds, state: Mutex::new(State { waiting: VecDeque::new(), under_way: 0 }) }
    }

    /// Somebody waits for an answer now.
    pub fn is_busy(&self) -> bool {
        self.state().under_way > 0
    }

    fn state(&self) -> MutexGuard<'_, State<Q, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q: Send + 'static, A: Send + 'static> Gather<Q, A> {
    /// The answer to `question`. `work` answers the questions of a round in their order. None when it ended without
    /// an answer. How many wait is bounded by who may ask at a time. A caller that goes away leaves its question in.
    pub async fn ask<W, F>(self: &Arc<Self>, question: Q, work: W) -> Option<A>
    where
        W: FnMut(Vec<Q>) -> F + Send + 'static,
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let begins = {
            let mut state = self.state();
            state.waiting.push_back((question, sender));
            let begins = state.under_way < self.rounds;
            state.under_way += usize::from(begins);
            begins
        };
        if begins {
            tokio::spawn(UnderWay { gather: Arc::clone(self), ended: false }.go_on(work));
        }
        answer.await.ok()
    }
}

/// One of the rounds side by side, until nobody waits.
struct UnderWay<Q, A> {
    gather: Arc<Gather<Q, A>>,
    ended: bool,
}

impl<Q, A> UnderWay<Q, A> {
    async fn go_on<W, F>(mut self, mut work: W)
    where
        W: FnMut(Vec<Q>) -> F,
        F: Future<Output = Vec<A>>,
    {
        while let Some((questions, callers)) = self.next() {
            for (caller, answer) in callers.into_iter().zip(work(questions).await) {
                if caller.send(answer).is_err() {
                    tracing::trace!("a caller went away before its answer");
                }
            }
        }
    }

    /// Who waits now. Nobody: it ends, under the same lock, so that the next caller begins another.
    fn next(&mut self) -> Option<(Vec<Q>, Vec<oneshot::Sender<A>>)> {
        let mut state = self.gather.state();
        if state.waiting.is_empty() {
            state.under_way -= 1;
            self.ended = true;
            return None;
        }
        let some = state.waiting.len().min(self.gather.most);
        Some(state.waiting.drain(..some).unzip())
    }
}

impl<Q, A> Drop for UnderWay<Q, A> {
    fn drop(&mut self) {
        if !self.ended {
            // It panicked, or the process stops: whoever waits learns that there is no answer.
            let mut state = self.gather.state();
            state.under_way -= 1;
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;

    /// Answers twice the number, and notes how many each round held.
    async fn ask_all(gather: &Arc<Gather<usize, usize>>, numbers: usize) -> Vec<usize> {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let mut callers = JoinSet::new();
        for n in 0..numbers {
            let (gather, sizes) = (Arc::clone(gather), Arc::clone(&sizes));
            let asked = Arc::clone(&gather);
            callers.spawn(async move {
                let answer = gather
                    .ask(n, move |some: Vec<usize>| {
                        sizes.lock().unwrap().push(some.len());
                        let busy = Arc::clone(&asked);
                        async move {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                            assert!(busy.is_busy());
                            some.into_iter().map(|n| n * 2).collect()
                        }
                    })
                    .await;
                assert_eq!(answer, Some(n * 2));
            });
        }
        while let Some(done) = callers.join_next().await {
            done.unwrap();
        }
        sizes.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn everybody_gets_the_own_answer_and_rounds_are_shared() {
        let gather = Arc::new(Gather::new(16, 1));
        let sizes = ask_all(&gather, 100).await;
        assert_eq!(sizes.iter().sum::<usize>(), 100);
        assert!(sizes.iter().all(|size| *size <= 16), "{sizes:?}");
        assert!(sizes.len() < 20, "{sizes:?}");
        // Everything is over: the next one begins a round by itself.
        assert!(!gather.is_busy());
        assert_eq!(ask_all(&gather, 1).await, [1]);
    }

    #[tokio::test]
    async fn a_round_that_fails_leaves_nobody_waiting() {
        let gather: Arc<Gather<usize, usize>> = Arc::new(Gather::new(16, 1));
        let lost = gather.ask(1, |_| async { panic!("as planned") }).await;
        assert_eq!(lost, None);
        let short = gather.ask(1, |_| async { vec![] }).await;
        assert_eq!(short, None);
        assert_eq!(ask_all(&gather, 3).await.iter().sum::<usize>(), 3);
    }
}
