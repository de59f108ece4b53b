//! A page of metrics, read as strictly as the text format is written: what a lenient reader would forgive fails the test.

use std::collections::BTreeMap;

/// Metrics of one moment.
#[derive(Debug)]
pub struct Metrics {
    /// Name and type of each metric.
    pub kinds: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads a page. Each metric has its help and type first, all its samples follow, and nothing comes twice.
    ///
    /// # Panics
    /// When the page breaks a rule.
    #[must_use]
    pub fn parse(page: &str) -> Self {
        assert!(page.ends_with('\n'), "the last line has an end");
        let mut metrics = Self { kinds: BTreeMap::new(), samples: BTreeMap::new() };
        let (mut helped, mut current) = (String::new(), String::new());
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and its help");
                assert!(help.ends_with('.') && is_name(name), "{line}");
                name.clone_into(&mut helped);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and its type");
                assert_eq!(name, helped, "its help comes first");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(matches!(kind, "counter" | "gauge"), "{line}");
                assert!(metrics.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
                name.clone_into(&mut current);
            } else {
                metrics.sample(line, &current);
            }
        }
        metrics
    }

    fn sample(&mut self, line: &str, current: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let name = series.split('{').next().expect("a name");
        assert_eq!(name, current, "a sample stands below its own type: {line}");
        if let Some(labels) = series[name.len()..].strip_prefix('{') {
            check_labels(labels.strip_suffix('}').unwrap_or_else(|| panic!("an open brace: {line}")));
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(value.is_finite() && value >= 0.0, "{line}");
        assert!(self.samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }

    /// The value of a series, labels as they stand on the page; 0 if there is none, as for Prometheus' `increase`.
    #[must_use]
    pub fn get(&self, series: &str) -> f64 {
        self.samples.get(series).copied().unwrap_or_default()
    }

    /// Every series of one metric.
    #[must_use]
    pub fn series(&self, name: &str) -> Vec<&str> {
        let of = |series: &&String| series.split('{').next() == Some(name);
        self.samples.keys().filter(of).map(String::as_str).collect()
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// `name="value",name="value"`, in which a quote inside a value is escaped.
fn check_labels(mut labels: &str) {
    loop {
        let (name, rest) = labels.split_once("=\"").unwrap_or_else(|| panic!("no label: {labels}"));
        assert!(is_name(name), "{labels}");
        let end = rest.replace("\\\\", "__").replace("\\\"", "__").find('"').expect("a closing quote");
        match rest[end + 1..].strip_prefix(',') {
            Some(more) => labels = more,
            None => return assert_eq!(&rest[end + 1..], "", "{labels}"),
        }
    }
}
