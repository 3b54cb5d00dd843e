//! The processes that were started together with this one (`mpirun -n 2 tickless train …`), and how they end.

use anyhow::{Result, bail};
use tickless_train::parallel::{Ranks, launch};

/// Membership among the processes; of a process started alone there is nothing in it.
#[derive(Debug)]
pub struct World {
    #[cfg(feature = "mpi")]
    joined: Option<tickless_train::parallel::mpi::World>,
}

impl World {
    /// Joins the other processes, if there are any.
    ///
    /// # Errors
    /// If there are, and this command (`trains` tells) or this build is for one only.
    pub fn join(trains: bool) -> Result<Self> {
        let processes = launch::processes();
        if let (Some(n), false) = (processes, trains) {
            bail!("started as {n} processes: only `tickless train` shares its work; start this command without mpirun");
        }
        Self::of(processes)
    }

    #[cfg(feature = "mpi")]
    fn of(processes: Option<usize>) -> Result<Self> {
        Ok(Self { joined: processes.map(|_| tickless_train::parallel::mpi::World::join()).transpose()? })
    }

    #[cfg(not(feature = "mpi"))]
    fn of(processes: Option<usize>) -> Result<Self> {
        match processes {
            None => Ok(Self {}),
            Some(n) => bail!(
                "started as {n} processes, but this build trains in one: build with `cargo build --release --features mpi`"
            ),
        }
    }

    /// This process's place among them.
    pub fn ranks(&self) -> Ranks {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.joined {
            return world.ranks();
        }
        Ranks::alone()
    }

    /// Before an error is said: most are every process's, and the first then says it for all.
    pub fn let_first_speak(&self) {
        if !self.ranks().is_first() {
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
    }

    /// Ends the other processes too, which would wait for this one.
    pub fn end_all(&self, code: u8) {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.joined {
            world.abort(code.into());
        }
        let _ = code;
    }
}
