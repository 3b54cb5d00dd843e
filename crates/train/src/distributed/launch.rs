//! Detects from the environment whether a launcher started this process as one of several.

/// Variables in which launchers store the number of processes and this process's rank: Open MPI;
/// MPICH and Intel MPI (Hydra); MVAPICH2; Slurm's `srun`.
const VARIABLES: [[&str; 2]; 4] = [
    ["OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"],
    ["PMI_SIZE", "PMI_RANK"],
    ["MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"],
    ["SLURM_STEP_NUM_TASKS", "SLURM_PROCID"],
];

/// One of several processes that a launcher started together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Launched {
    /// Number of processes, at least 2.
    pub processes: usize,
    /// This process's rank; 0 if the launcher does not set one.
    pub rank: usize,
}

impl Launched {
    /// Reads the launcher's variables through `value`; `None` if this process is the only one.
    pub fn from_variables(value: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| value(name)?.parse().ok();
        VARIABLES.iter().find_map(|[size, rank]| {
            let processes = number(size).filter(|n| *n > 1)?;
            Some(Self { processes, rank: number(rank).unwrap_or(0) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_one_process_is_a_start_of_several() {
        let with = |all: &'static [(&str, &str)]| {
            Launched::from_variables(move |name| all.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        let two = with(&[("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "1")]);
        assert_eq!(two, Some(Launched { processes: 2, rank: 1 }));
        assert_eq!(with(&[("PMI_SIZE", "64")]), Some(Launched { processes: 64, rank: 0 }));
        assert_eq!(with(&[("OMPI_COMM_WORLD_SIZE", "1"), ("OMPI_COMM_WORLD_RANK", "0")]), None);
        assert_eq!(with(&[("OMPI_COMM_WORLD_SIZE", "many")]), None);
        assert_eq!(with(&[("PATH", "2")]), None);
    }
}
