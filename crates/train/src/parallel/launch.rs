//! Whether this process is one of several that were started together, as their starter says in the environment.

/// Where starters put the number of processes: Open MPI, MPICH and Intel MPI (Hydra), MVAPICH2, Slurm's `srun`.
const SIZES: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"];

/// Number of processes started together, if there is more than this one.
pub fn processes() -> Option<usize> {
    read(|name| std::env::var(name).ok())
}

fn read(get: impl Fn(&str) -> Option<String>) -> Option<usize> {
    SIZES.iter().find_map(|name| get(name)?.parse().ok().filter(|n| *n > 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_one_process_is_a_start_of_several() {
        let with = |name: &'static str, value: &'static str| read(move |n| (n == name).then(|| value.to_owned()));
        assert_eq!(with("OMPI_COMM_WORLD_SIZE", "2"), Some(2));
        assert_eq!(with("PMI_SIZE", "64"), Some(64));
        assert_eq!(with("OMPI_COMM_WORLD_SIZE", "1"), None);
        assert_eq!(with("OMPI_COMM_WORLD_SIZE", "many"), None);
        assert_eq!(with("PATH", "2"), None);
    }
}
