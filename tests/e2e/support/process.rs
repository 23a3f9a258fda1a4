//! Processes: waiting with a deadline, signals, and what still runs of a home.

use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use super::eventually;

/// Waits for a process to end, at most for `limit`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> ExitStatus {
    eventually("the end of a process", limit, || child.try_wait().unwrap())
}

/// Sends SIGKILL to a process and all others of its group.
#[cfg(unix)]
pub(crate) fn kill_group(child: &Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    // Fails where all of them are gone already.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

/// Sends SIGKILL to a process that may have ended, but was not waited for.
#[cfg(unix)]
pub(crate) fn kill(process_id: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = Pid::from_raw(process_id.cast_signed()).unwrap();
    let _ = kill_process(pid, Signal::KILL);
}

/// Kills nobody: the platform has no signals.
#[cfg(not(unix))]
pub(crate) fn kill(_process_id: u32) {}

/// Sends SIGTERM to a process.
#[cfg(unix)]
pub(crate) fn terminate(child: &Child) {
    use rustix::process::{Pid, Signal, kill_process};
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

/// Returns the command lines of the processes that have `home` in their arguments or in their
/// environment.
#[cfg(target_os = "linux")]
pub(crate) fn of_home(home: &Path) -> Vec<String> {
    let needle = home.as_os_str().as_encoded_bytes();
    let names_it = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if entry
            .file_name()
            .as_encoded_bytes()
            .iter()
            .any(|byte| !byte.is_ascii_digit())
        {
            continue;
        }
        // A process may end between two reads.
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if names_it(&command) || names_it(&environment) {
            let id = entry.file_name();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push(format!("{} {command}", id.display()));
        }
    }
    found
}

/// Returns the command lines of the processes that have `home` in their arguments.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of_home(home: &Path) -> Vec<String> {
    let Ok(output) = std::process::Command::new("ps")
        .args(["-axww", "-o", "command"])
        .output()
    else {
        eprintln!("skipped: what still runs of a home is not known without `ps`");
        return Vec::new();
    };
    let home = home.display().to_string();
    let lines = String::from_utf8_lossy(&output.stdout);
    lines
        .lines()
        .filter(|line| line.contains(&home))
        .map(str::to_owned)
        .collect()
}

/// Returns whether anything of a home still runs.
pub(crate) fn is_running(home: &Path) -> bool {
    !of_home(home).is_empty()
}
