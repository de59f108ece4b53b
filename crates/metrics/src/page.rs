//! The text that Prometheus reads (exposition format 0.0.4).

use std::fmt::{Display, Write as _};

/// What the text is, for the `content-type`.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics.
#[derive(Debug, Default)]
pub struct Page(String);

/// Samples of one metric; each name comes once per page.
pub struct Family<'a> {
    name: &'static str,
    page: &'a mut String,
}

impl Page {
    /// Something that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Something that only grows; its name ends with `_total`.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// The whole text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a String cannot fail. Our own help texts hold nothing that must be escaped.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { name, page: &mut self.0 }
    }
}

impl Family<'_> {
    /// Adds a sample. Label names are ours; their values may be anything.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.page.push_str(self.name);
        for (at, (name, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.page, "{before}{name}=\"{}\"", escaped(value));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.page, "{end} {value}");
        self
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_families_follow_each_other() {
        let mut page = Page::default();
        page.gauge("a", "What a is.").sample(&[("x", "a\"b\\c\nd"), ("y", "")], 1).sample(&[], 2.5);
        page.counter("b_total", "What b is.");
        let expected = "# HELP a What a is.\n# TYPE a gauge\na{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 1\na 2.5\n\
                        # HELP b_total What b is.\n# TYPE b_total counter\n";
        assert_eq!(page.into_text(), expected);
    }
}
