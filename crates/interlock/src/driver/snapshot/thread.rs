//! Snapshots written by a thread of their own, beside the writer.
//!
//! INVARIANT: the writer never waits for it, but when a node stops. It knows no rows.

use std::io;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use interlock_journal::rows::Rows;

use super::{Keeper, Mark, SnapshotError, Step};
use crate::node::state::Frozen;

enum Order {
    Begin(Box<Frozen>, Option<Mark>),
    Installed,
    Distrust,
    /// Ends once what was begun is written.
    End,
}

/// A thread that writes snapshots.
pub struct Background {
    orders: Sender<Order>,
    news: Receiver<Result<(Rows, bool), SnapshotError>>,
    thread: Option<JoinHandle<Keeper>>,
    flushing: bool,
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

impl Background {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(keeper: Keeper) -> io::Result<Self> {
        let (orders, taken) = channel();
        let (told, news) = channel();
        let thread = std::thread::Builder::new()
            .name("snapshots".into())
            .spawn(move || work(keeper, &taken, &told))?;
        Ok(Self {
            orders,
            news,
            thread: Some(thread),
            flushing: false,
        })
    }

    /// Whether something that was frozen is not written yet.
    pub const fn is_flushing(&self) -> bool {
        self.flushing
    }

    /// Has what was frozen written; without a mark rows are written and no root.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn begin(&mut self, frozen: Frozen, mark: Option<Mark>) -> io::Result<()> {
        self.flushing = true;
        self.order(Order::Begin(Box::new(frozen), mark))
    }

    /// Rows to be read from now on, if there are new ones; and whether all that was frozen is in them.
    ///
    /// # Errors
    /// A snapshot could not be written.
    pub fn news(&mut self) -> io::Result<Option<(Rows, bool)>> {
        match self.news.try_recv() {
            Ok(news) => self.told(news).map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(failed("the thread of the snapshots has ended")),
        }
    }

    /// The next news, once there are some.
    ///
    /// # Errors
    /// A snapshot could not be written.
    pub fn wait(&mut self) -> io::Result<(Rows, bool)> {
        let news = self.news.recv();
        self.told(news.map_err(|_| failed("the thread of the snapshots has ended"))?)
    }

    /// Ends the thread once what was begun is written. The keeper goes on where the thread was; with it
    /// the news that were not taken yet.
    ///
    /// # Errors
    /// A snapshot could not be written.
    pub fn stop(mut self) -> io::Result<(Keeper, Vec<(Rows, bool)>)> {
        let ordered = self.order(Order::End);
        let keeper = self.thread.take().and_then(|thread| thread.join().ok());
        let left: Vec<_> = self.news.try_iter().collect();
        let left = left.into_iter().map(|news| self.told(news));
        let left = left.collect::<io::Result<_>>()?;
        ordered?;
        let keeper = keeper.ok_or_else(|| failed("the thread of the snapshots has failed"))?;
        Ok((keeper, left))
    }

    fn told(&mut self, news: Result<(Rows, bool), SnapshotError>) -> io::Result<(Rows, bool)> {
        let (rows, frozen) = news.map_err(failed)?;
        self.flushing &= !frozen;
        Ok((rows, frozen))
    }

    /// The rows before the last news are read no more.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn installed(&mut self) -> io::Result<()> {
        self.order(Order::Installed)
    }

    /// Throws the snapshot away.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn distrust(&mut self) -> io::Result<()> {
        self.order(Order::Distrust)
    }

    fn order(&mut self, order: Order) -> io::Result<()> {
        self.orders
            .send(order)
            .map_err(|_| failed("the thread of the snapshots has ended"))
    }
}

/// A node that is let go waits until what it began is written: its directory is free then.
impl Drop for Background {
    fn drop(&mut self) {
        // A thread that has ended takes no order, and needs none.
        let _ = self.orders.send(Order::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(
    mut keeper: Keeper,
    orders: &Receiver<Order>,
    told: &Sender<Result<(Rows, bool), SnapshotError>>,
) -> Keeper {
    let mut ending = false;
    let mut idle = true;
    loop {
        let order = match idle {
            true => orders.recv().ok(),
            false => orders.try_recv().ok(),
        };
        let done = match order {
            Some(Order::Begin(frozen, mark)) => keeper.begin(*frozen, mark),
            Some(Order::Installed) => {
                keeper.installed();
                Ok(())
            }
            Some(Order::Distrust) => keeper.distrust(),
            Some(Order::End) => {
                ending = true;
                Ok(())
            }
            None if idle => return keeper,
            None => Ok(()),
        };
        let step = done.and_then(|()| match ending && !keeper.is_flushing() {
            true => Ok(Step::Idle),
            false => keeper.step(),
        });
        idle = matches!(step, Ok(Step::Idle));
        let news = match step {
            Ok(Step::Idle | Step::Working) => None,
            Ok(Step::Rows { rows, frozen }) => Some(Ok((rows, frozen))),
            Err(error) => Some(Err(error)),
        };
        let failed = matches!(news, Some(Err(_)));
        if let Some(news) = news {
            // The writer may have ended.
            let _ = told.send(news);
        }
        if failed || (ending && idle) {
            return keeper;
        }
    }
}
