//! Who may subscribe to what: one table over every kind of channel, and nothing else decides it.

use crate::app::Credentials;
use crate::channel::{ChannelKind, ChannelName};
use crate::error::ErrorEvent;
use crate::limits::Limits;
use crate::message::Subscribe;
use crate::presence::Member;
use crate::signature::verify_channel;

/// What a kind of channel asks of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Nothing.
    Anyone,
    /// The app's signature over socket id and channel.
    Signed,
    /// As [`Admission::Signed`], and an identity: signed `channel_data`, or else a sign-in.
    Member,
    /// To be signed in as the user that the channel's name names.
    OwnUser,
}

impl Admission {
    /// The table.
    #[must_use]
    pub fn of(kind: ChannelKind) -> Self {
        match kind {
            ChannelKind::Public | ChannelKind::Cache => Self::Anyone,
            ChannelKind::Private
            | ChannelKind::PrivateEncrypted
            | ChannelKind::PrivateCache
            | ChannelKind::PrivateEncryptedCache => Self::Signed,
            ChannelKind::Presence | ChannelKind::PresenceCache => Self::Member,
            ChannelKind::ServerToUser => Self::OwnUser,
        }
    }
}

/// The connection that asks.
#[derive(Debug, Clone, Copy)]
pub struct Applicant<'a> {
    /// Its socket id, as the client was told.
    pub socket_id: &'a str,
    /// The user it is signed in as: a member if a presence channel is joined without `channel_data`.
    pub signed_in: Option<&'a Member>,
}

/// Decides a subscription. In presence channels the member to enter comes back.
///
/// # Errors
/// The event to answer with; nothing was changed.
pub fn admit(
    app: &Credentials,
    limits: &Limits,
    applicant: Applicant<'_>,
    channel: &ChannelName,
    request: &Subscribe<'_>,
) -> Result<Option<Member>, ErrorEvent> {
    match Admission::of(channel.kind()) {
        Admission::Anyone => Ok(None),
        Admission::Signed => verify(app, applicant, channel, request).map(|()| None),
        Admission::Member => {
            verify(app, applicant, channel, request)?;
            identify(limits, applicant, request).map(Some)
        }
        Admission::OwnUser => {
            let own = applicant.signed_in.map(|user| user.user_id.as_str());
            if own.is_some() && own == channel.user_id() { Ok(None) } else { Err(ErrorEvent::unauthorized()) }
        }
    }
}

fn verify(
    app: &Credentials,
    applicant: Applicant<'_>,
    channel: &ChannelName,
    request: &Subscribe<'_>,
) -> Result<(), ErrorEvent> {
    let auth = request.auth.as_deref().unwrap_or_default();
    verify_channel(app, applicant.socket_id, channel, request.channel_data.as_deref(), auth)
        .map_err(|_| ErrorEvent::unauthorized())
}

/// Signed `channel_data` wins over the sign-in.
fn identify(
    limits: &Limits,
    applicant: Applicant<'_>,
    request: &Subscribe<'_>,
) -> Result<Member, ErrorEvent> {
    match (&request.channel_data, applicant.signed_in) {
        (Some(channel_data), _) => {
            Member::parse(channel_data, limits).map_err(|error| ErrorEvent::invalid_member(&error))
        }
        (None, Some(user)) => Ok(user.clone()),
        (None, None) => Err(ErrorEvent::unauthorized()),
    }
}

#[cfg(test)]
mod tests;
