//! `gema init`: a `.env` with fresh credentials, so that nobody ever runs with known ones.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::failure::{Ended, Failure};
use crate::logging::print;

/// Length of the generated key; the same as Laravel's `reverb:install`.
const KEY_LENGTH: usize = 20;
/// Length of the generated secret: 36^32 is more than 2^165.
const SECRET_LENGTH: usize = 32;
const SYMBOLS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Writes `.env` in the working directory, unless there is one.
pub(crate) fn run() -> Ended {
    let path = Path::new(".env");
    let page = page(&mut system_random)?;
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = created.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => about_existing(path),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "this folder cannot be written to: run `gema init` in one that can".to_owned()
        }
        _ => format!(".env cannot be written: {error}"),
    })?;
    if let Err(error) = file.write_all(page.as_bytes()).and_then(|()| file.sync_all()) {
        // Half a file would only stand in the way of the next attempt.
        let _ = std::fs::remove_file(path);
        return Err(format!(".env cannot be written: {error}").into());
    }
    print("wrote .env with a fresh app id, key and secret; keep it out of version control");
    Ok(())
}

/// What to do about a `.env` that is there already; it is never changed.
fn about_existing(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let has = |name: &str| text.lines().any(|line| line.trim_start().starts_with(name));
    let names = ["REVERB_APP_ID", "REVERB_APP_KEY", "REVERB_APP_SECRET"];
    let missing: Vec<_> = names.into_iter().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        ".env exists already and has an app: nothing was changed".to_owned()
    } else {
        format!(
            ".env exists already, and nothing was changed. It has no {}: run `gema init` in an empty folder and copy \
             the lines from there",
            missing.join(", ")
        )
    }
}

fn page(random: &mut impl FnMut() -> Result<u8, Failure>) -> Result<String, Failure> {
    // Six digits, the first not a zero: some SDKs read the id as a number.
    let id = format!("{}{}", text(b"123456789", 1, random)?, text(b"0123456789", 5, random)?);
    let key = text(SYMBOLS, KEY_LENGTH, random)?;
    let secret = text(SYMBOLS, SECRET_LENGTH, random)?;
    Ok(format!("{HEAD}REVERB_APP_ID={id}\nREVERB_APP_KEY={key}\nREVERB_APP_SECRET={secret}\n{TAIL}"))
}

/// Characters drawn evenly: bytes beyond the last whole multiple of the alphabet are drawn again.
fn text(
    symbols: &[u8],
    length: usize,
    random: &mut impl FnMut() -> Result<u8, Failure>,
) -> Result<String, Failure> {
    let even = 256 - 256 % symbols.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let byte = usize::from(random()?);
        if byte < even {
            text.push(char::from(symbols[byte % symbols.len()]));
        }
    }
    Ok(text)
}

fn system_random() -> Result<u8, Failure> {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(byte[0])
}

const HEAD: &str = "\
# Written by `gema init`. Every setting: `gema config reference`; those in effect: `gema config print`.

# Who may publish and who may connect. Browsers see the key; the secret belongs to back ends only.
";

const TAIL: &str = "
# Addresses to listen on. `gema serve --host 127.0.0.1` keeps both to this machine.
# REVERB_SERVER_HOST=0.0.0.0
# REVERB_SERVER_PORT=8080
# APP_HOST=0.0.0.0
# APP_PORT=8000

# Where browsers and back ends find the broadcast server, when it stands behind a proxy.
# REVERB_HOST=ws.example.com
# REVERB_PORT=443
# REVERB_SCHEME=https
# APP_URL=https://attendance.example.com

# The attendance system.
# APP_TIMEZONE=Asia/Jakarta
# ATTENDANCE_WORK_STARTS_AT=08:00
# ATTENDANCE_GRACE_MINUTES=15
# DB_DATABASE=gema.sqlite

# What is logged.
# GEMA_LOG=info
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_is_equally_likely() {
        let mut counts = [0; 36];
        let mut next = 0_u16..;
        // Bytes 0 to 251 exactly once: seven of each symbol; 252 to 255 must be passed over.
        let mut random = || Ok(u8::try_from(next.next().unwrap_or_default() % 256).unwrap_or_default());
        for symbol in text(SYMBOLS, 2 * 252, &mut random).unwrap().bytes() {
            counts[SYMBOLS.iter().position(|known| *known == symbol).unwrap()] += 1;
        }
        assert_eq!(counts, [14; 36]);
    }
}
