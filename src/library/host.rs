//! What this computer has to give.

use std::path::Path;

use api::machine::Host;

/// Processors and memory, for defaults.
pub fn resources() -> Host {
    let info = rustix::system::sysinfo();
    let bytes = u128::from(info.totalram) * u128::from(info.mem_unit);
    Host {
        processors: std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
        memory: u64::try_from(bytes >> 20).unwrap_or(u64::MAX),
    }
}

/// Memory in MiB that programs could get now, if the kernel says.
pub fn memory_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib >> 10)
}

/// Bytes that this person can still write where `path` is.
pub fn free_space(path: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Most characters of a name that a file gives.
const NAME: usize = 200;

/// Which kernel runs.
pub fn kernel() -> String {
    let names = rustix::system::uname();
    format!(
        "{} {} {}",
        names.sysname().to_string_lossy(),
        names.release().to_string_lossy(),
        names.machine().to_string_lossy()
    )
}

/// Which distribution this is (os-release(5)).
pub fn system() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches(['"', '\'']).chars().take(NAME).collect())
}

/// Which processor this is.
pub fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).chars().take(NAME).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_something() {
        let host = resources();
        assert!(host.processors >= 1 && host.memory >= 64, "{host:?}");
        assert!(memory_available().unwrap() <= host.memory);
        assert!(free_space(Path::new("/")).is_ok());
        assert!(kernel().starts_with("Linux "), "{}", kernel());
        assert!(processor().is_none_or(|name| !name.is_empty() && !name.starts_with(':')));
        assert!(free_space(Path::new("/no/such")).is_err());
    }
}
