//! What the kernel says of this process, under the names that every exporter uses for it.

use std::fs;

use super::page::Page;

/// Ticks per second in `/proc`, on every Linux there is.
const TICKS: f64 = 100.0;

/// Adds what can be read; what cannot is left out.
pub(crate) fn add(page: &mut Page) {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    if let Some(bytes) = resident_bytes(&read("/proc/self/status")) {
        page.gauge("process_resident_memory_bytes", "Memory of the process in RAM.").sample(&[], bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the listing itself.
        let open = open.count().saturating_sub(1);
        page.gauge("process_open_fds", "Files and sockets that are open.").sample(&[], open);
    }
    if let Some(most) = most_files(&read("/proc/self/limits")) {
        page.gauge("process_max_fds", "Files and sockets that may be open.").sample(&[], most);
    }
    let Some((cpu, started)) = times(&read("/proc/self/stat")) else { return };
    page.counter("process_cpu_seconds_total", "Time that processors have worked for it.").sample(&[], cpu);
    if let Some(boot) = boot_seconds(&read("/proc/stat")) {
        let help = "When it was started, in seconds since 1970.";
        page.gauge("process_start_time_seconds", help).sample(&[], boot + started);
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn most_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Seconds of processor time, and seconds from boot to start.
fn times(stat: &str) -> Option<(f64, f64)> {
    // The name of the program stands in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Some(((ticks(11)? + ticks(12)?) / TICKS, ticks(19)? / TICKS))
}

fn boot_seconds(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_understood() {
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024     4096     files\n";
        assert_eq!(most_files(limits), Some(1024));
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 200 5 6";
        assert_eq!(times(stat), Some((2.0, 2.0)));
        assert_eq!(boot_seconds("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
    }
}
