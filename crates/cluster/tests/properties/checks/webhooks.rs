//! What is kept of webhooks.

use bytes::Bytes;
use gema_cluster::webhook::{Parcel, Place, Record};
use gema_protocol::webhook::Kind;

/// What is a batch stays the same when it is written and read again.
pub(super) fn parcel(bytes: &[u8]) {
    let Some(parcel) = Parcel::decode(Bytes::copy_from_slice(bytes)) else { return };
    assert_eq!(Parcel::decode(parcel.encode().into()).as_ref(), Some(&parcel));
}

/// What is a record says the same when it is written as the script does.
pub(super) fn record(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some((record, proof)) = Record::parse(Place::default(), &text) else { return };
    let has_user = matches!(record.kind, Kind::MemberAdded | Kind::MemberRemoved);
    assert_eq!(has_user, !record.user.is_empty());
    let letter = match record.kind {
        Kind::ChannelOccupied => 'o',
        Kind::ChannelVacated => 'v',
        Kind::MemberAdded => 'a',
        Kind::MemberRemoved => 'r',
        _ => 's',
    };
    let marks: String = record.taken_by.iter().map(|mark| format!("{mark}-")).collect();
    let Record { count, channel, user, .. } = &record;
    let again = format!("{letter} {count} {proof} -{marks} {channel} {user}");
    assert_eq!(Record::parse(Place::default(), &again), Some((record.clone(), proof)));
    assert!(record.subject().starts_with(&**channel));
}
