//! What is left when everything is quiet again, held against what was acknowledged: the database, and what each client was
//! sent.

use std::collections::{BTreeMap, BTreeSet};

use gema_tests::{Stack, figure};

use crate::people::Change;
use crate::watchers::Told;

/// A record of the database.
#[derive(Debug)]
struct Row {
    id: i64,
    user: i64,
    version: u64,
    check_out: Option<String>,
    notes: String,
}

/// All records.
#[derive(Debug)]
pub(crate) struct Records(Vec<Row>);

/// What one client was sent.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// Acknowledged check-ins that were asked for while its subscription stood, which stood to the end.
    check_ins_due: usize,
    /// The same of check-outs.
    check_outs_due: usize,
    /// Those of both that never came.
    lost: Vec<(i64, u64)>,
    /// Came once more, under the event id that they had.
    repeats: usize,
    /// Came for the first time after a later version of their record: the page drops them by their version.
    late: Vec<(i64, u64)>,
}

impl Records {
    pub(crate) fn read(stack: &Stack) -> Self {
        let rows = stack.sql("SELECT id, user_id, version, check_out, notes FROM attendances ORDER BY id");
        let row = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            let number = |at: usize| fields[at].parse::<i64>().expect("a number");
            // As the API writes it.
            let check_out = (fields[3] != "NULL").then(|| format!("{}Z", fields[3].replace(' ', "T")));
            let version = u64::try_from(number(2)).expect("a version");
            Row { id: number(0), user: number(1), version, check_out, notes: fields[4].to_owned() }
        };
        Self(rows.lines().map(row).collect())
    }

    /// What a client's list has to be: of one person, or of all.
    pub(crate) fn list(&self, of: Option<i64>) -> BTreeMap<i64, (u64, Option<String>)> {
        let rows = self.0.iter().filter(|row| of.is_none_or(|user| user == row.user));
        rows.map(|row| (row.id, (row.version, row.check_out.clone()))).collect()
    }

    /// Every acknowledged check-in is there once, and nothing else; what was closed is closed.
    pub(crate) fn hold(&self, changes: &[Change]) {
        let mut wanted = BTreeMap::new();
        for change in changes {
            match &change.key {
                Some(key) => assert_eq!(wanted.insert(key.clone(), change.attendance), None, "{key} twice"),
                None => {
                    let row = self.0.iter().find(|row| row.id == change.attendance);
                    let closed = row.is_some_and(|row| row.version == 2 && row.check_out.is_some());
                    assert!(closed, "{change:?} was acknowledged, but there is {row:?}");
                }
            }
        }
        let there: BTreeMap<_, _> = self.0.iter().map(|row| (row.notes.clone(), row.id)).collect();
        assert_eq!(there.len(), self.0.len(), "a check-in is there twice: {:?}", self.0);
        assert_eq!(there, wanted, "the database has other check-ins than those that were acknowledged");
    }
}

impl Deliveries {
    /// What this client was sent of these changes.
    pub(crate) fn of(told: &Told, changes: &[Change]) -> Self {
        let mut deliveries = Self::default();
        for (channel, since) in &told.since {
            let came = deliveries.read(told, channel);
            for change in changes.iter().filter(|change| change.begun >= *since && change.is_told_in(channel))
            {
                let due = if change.key.is_some() {
                    &mut deliveries.check_ins_due
                } else {
                    &mut deliveries.check_outs_due
                };
                *due += 1;
                if !came.contains(&(change.attendance, change.version)) {
                    deliveries.lost.push((change.attendance, change.version));
                }
            }
        }
        deliveries
    }

    /// Reads one channel as it came; which versions did.
    fn read(&mut self, told: &Told, channel: &str) -> BTreeSet<(i64, u64)> {
        let (mut events, mut came) = (BTreeMap::new(), BTreeSet::new());
        for heard in told.heard.iter().filter(|heard| heard.channel == channel) {
            let change = (heard.attendance, heard.version);
            match events.insert(heard.event.clone(), change) {
                Some(before) => {
                    assert_eq!(before, change, "{}: two changes under one event id", told.name);
                    self.repeats += 1;
                    continue;
                }
                None => assert!(came.insert(change), "{}: {change:?} under two event ids", told.name),
            }
            if came.contains(&(heard.attendance, heard.version + 1)) {
                self.late.push(change);
            }
        }
        came
    }

    /// The sum of what all were sent, in lines of a report; nothing is missing in it. What is published at a broadcast node
    /// that has no Redis is heard there at once, and so perhaps before what Redis still has for it: only a node that was
    /// `parted` from it may be late.
    pub(crate) fn report(all: &[Self], parted: bool) {
        let sum = |count: fn(&Self) -> usize| all.iter().map(count).sum::<usize>();
        let (lost, late) = (sum(|one| one.lost.len()), sum(|one| one.late.len()));
        figure(&format!(
            "deliveries due to connections that stood from the publish to the end: {} of check-ins, {} of \
             check-outs; {lost} lost, {late} late, which their version tells, {} repeats, which their event id tells",
            sum(|one| one.check_ins_due),
            sum(|one| one.check_outs_due),
            sum(|one| one.repeats),
        ));
        assert!(lost == 0 && (late == 0 || parted), "{all:#?}");
        assert!(sum(|one| one.check_ins_due) > 0, "nobody's connection stood: this run says nothing");
    }
}

impl Change {
    fn is_told_in(&self, channel: &str) -> bool {
        channel == "attendances" || channel == format!("private-user.{}", self.user)
    }
}
