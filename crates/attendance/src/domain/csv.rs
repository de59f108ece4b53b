//! Records as lines of CSV (RFC 4180) that a spreadsheet opens without harm.

use super::{Attendance, Stamp};

/// The first line.
pub(crate) const HEADER: &str =
    "id,user_id,user_name,user_email,node_id,date,check_in,check_out,status,notes,version\r\n";

/// Adds a record, in the order of [`HEADER`].
pub(crate) fn write(text: &mut String, record: &Attendance) {
    let cells = [
        &record.id.to_string(),
        &record.user_id.to_string(),
        record.user.name.as_str(),
        record.user.email.as_deref().unwrap_or_default(),
        &record.node_id.to_string(),
        &record.date,
        &record.check_in.to_string(),
        &record.check_out.as_ref().map(Stamp::to_string).unwrap_or_default(),
        record.status.as_str(),
        record.notes.as_deref().unwrap_or_default(),
        &record.version.to_string(),
    ];
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_cell(text, cell);
    }
    text.push_str("\r\n");
}

/// A text that a spreadsheet would take for a formula gets an apostrophe before it, which makes it a text again.
fn write_cell(text: &mut String, cell: &str) {
    let guard = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if cell.contains(['"', ',', '\r', '\n']) {
        text.extend(["\"", guard, &cell.replace('"', "\"\""), "\""]);
    } else {
        text.extend([guard, cell]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut line = String::new();
        write_cell(&mut line, text);
        line
    }

    #[test]
    fn only_what_must_be_is_quoted() {
        for plain in ["", "Sari", "a b;c", "1-2", "é'"] {
            assert_eq!(cell(plain), plain);
        }
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(cell("two\r\nlines"), "\"two\r\nlines\"");
    }

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("+62 21"), "'+62 21");
        assert_eq!(cell("-1"), "'-1");
        assert_eq!(cell("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(cell("\t=1"), "'\t=1");
        assert_eq!(cell("\r=1"), "\"'\r=1\"");
        assert_eq!(cell("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"");
    }

    #[test]
    fn a_line_has_a_cell_for_each_name() {
        let record = Attendance { notes: None, ..Attendance::sample() };
        let mut line = String::new();
        write(&mut line, &record);
        assert_eq!(
            line,
            "12,7,Sari,sari@example.com,2,2026-11-23,2026-11-22T20:45:00.123456Z,,present,,3\r\n"
        );
        assert_eq!(line.matches(',').count(), HEADER.matches(',').count());
    }
}
