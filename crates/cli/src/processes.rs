//! The processes that were started together with this one (`mpirun -n 2 tickless train …`), and how
//! they end.
//!
//! An error of one process ends all, because the others would wait for it forever. Most errors
//! occur in every process (an invalid recipe, a loss that is not finite). The others therefore give
//! the first process time to print the error and to end them.

use crate::progress::Console;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};
use tickless_train::distributed::Ranks;
use tickless_train::distributed::launch::Launched;

/// Longest time that the other processes wait for the first one to end them.
const FIRST_SPEAKS: Duration = Duration::from_secs(2);

/// This process's membership; empty if it was started alone.
#[derive(Debug)]
pub struct Processes {
    launched: Option<Launched>,
    #[cfg(feature = "mpi")]
    joined: Option<tickless_train::distributed::mpi::World>,
}

impl Processes {
    /// Joins the other processes, if there are any. `trains` says whether the command is `train`.
    ///
    /// # Errors
    /// If there are other processes, but the command is not `train` or the build has no MPI.
    pub fn join(trains: bool) -> Result<Self> {
        let launched = Launched::from_variables(|name| std::env::var(name).ok());
        let Some(Launched { processes, rank, .. }) = launched else { return Self::of(None) };
        let problem = if !trains {
            "only `tickless train` shares its work; start this command without mpirun"
        } else if cfg!(not(feature = "mpi")) {
            "this build trains in one; build with `cargo build --release --features mpi`"
        } else {
            return Self::of(launched);
        };
        if rank > 0 {
            std::thread::sleep(FIRST_SPEAKS);
        }
        bail!("started as {processes} processes: {problem}")
    }

    fn of(launched: Option<Launched>) -> Result<Self> {
        Ok(Self {
            launched,
            #[cfg(feature = "mpi")]
            joined: launched.map(|_| tickless_train::distributed::mpi::World::join()).transpose()?,
        })
    }

    /// Whether this process prints.
    pub fn is_first(&self) -> bool {
        self.launched.is_none_or(|l| l.rank == 0)
    }

    /// This process's rank among the processes.
    pub fn ranks(&self) -> Ranks {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.joined {
            return world.ranks();
        }
        Ranks::alone()
    }

    /// Waits a moment for the first process to end this one. Returns whether it did: then it has
    /// printed the error.
    pub fn ended_by_first(&self, console: &Console) -> bool {
        let begun = Instant::now();
        while !self.is_first() && begun.elapsed() < FIRST_SPEAKS {
            if console.stopped() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Ends the other processes.
    pub fn end_all(&self, code: u8) {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.joined {
            world.abort(code.into());
        }
        let _ = code;
    }
}
