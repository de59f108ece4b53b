//! Names of channels.

use gema_protocol::channel::{ChannelKind, ChannelName, ChannelNameError};

/// The first byte is the limit, the rest the name. The rules are written down once more, naively.
pub(crate) fn check(bytes: &[u8]) {
    let (limit, name) =
        bytes.split_first().map_or((0, &b""[..]), |(first, rest)| (usize::from(*first), rest));
    let name = String::from_utf8_lossy(name);
    let legal = match name.strip_prefix("#server-to-user-") {
        Some(id) => !id.is_empty() && id.chars().all(|letter| !letter.is_control()),
        None => name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-=@,.;".contains(letter)),
    };
    let expected = match name.len() {
        0 => Err(ChannelNameError::Empty),
        actual if actual > limit => Err(ChannelNameError::TooLong { actual, allowed: limit }),
        _ if legal => Ok(&*name),
        _ => Err(ChannelNameError::IllegalCharacter),
    };
    let parsed = ChannelName::parse(&name, limit);
    assert_eq!(parsed.as_deref().map_err(|error| *error), expected, "{name:?} within {limit}");
    if let Ok(parsed) = parsed {
        classified(&parsed);
    }
}

/// The longest prefix decides.
fn classified(name: &ChannelName) {
    let fitting = ChannelKind::ALL.iter().filter(|kind| name.starts_with(kind.prefix()));
    let longest = fitting.max_by_key(|kind| kind.prefix().len()).expect("public channels have no prefix");
    assert_eq!(name.kind(), *longest, "{name}");
    assert_eq!(name.user_id().is_some(), name.kind() == ChannelKind::ServerToUser);
    assert!(!(name.kind().requires_signature() && name.contains(':')), "a name imitates a sign-in: {name}");
}
