//! Names of running processes, for logs and for the history of tasks.

use std::{env, fs, iter, process, sync::LazyLock};

const SUFFIX_LENGTH: usize = 6;

/// The name of this process: host, process id and random characters. Containers often share host
/// names and process ids, and a restarted one has the same again; the random part tells them apart.
static GENERATED: LazyLock<String> = LazyLock::new(|| {
    let suffix: String = iter::repeat_with(fastrand::lowercase)
        .take(SUFFIX_LENGTH)
        .collect();
    format!("{}-{}-{suffix}", host_name(), process::id())
});

/// `configured`, or the generated name of this process where none is.
pub(super) fn name(configured: &str) -> &str {
    if configured.is_empty() {
        &GENERATED
    } else {
        configured
    }
}

/// The name of the machine or container that the process runs on.
pub fn host_name() -> String {
    let from_kernel = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    from_kernel
        .or_else(|| env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_name_is_kept() {
        assert_eq!(name("orch-event-7"), "orch-event-7");
    }

    #[test]
    fn a_generated_name_stays_the_same_and_tells_the_process() {
        let generated = name("");
        assert_eq!(generated, name(""));
        let mut parts = generated.rsplitn(3, '-');
        assert_eq!(parts.next().map(str::len), Some(SUFFIX_LENGTH));
        assert_eq!(parts.next(), Some(process::id().to_string().as_str()));
        assert!(parts.next().is_some_and(|host| !host.is_empty()));
    }
}
