//! What an operator learns of a refused origin: which one it was, and which list it was compared with.

use std::time::Instant;

use gema_tests::wire::{Seen, Wire};
use gema_tests::{Gema, PATIENCE, Setup};

const ALLOWED: &str = "shop.example,https://*.shop.example:8443";

/// Opens with this line of the head, is refused, and returns what was logged of it.
async fn refused(gema: &Gema, header: &str) -> String {
    let logged = gema.log().len();
    let mut wire = Wire::open(gema.broadcast, &gema.target(), header, b"").await;
    assert!(matches!(wire.next().await, Seen::Text(text) if text.contains("4009")), "{header:?}");
    assert_eq!(wire.next().await, Seen::Close(Some(4009), "Origin not allowed".to_owned()));
    let start = Instant::now();
    loop {
        let log = gema.log();
        if let Some(line) = log[logged..].split_inclusive('\n').find(|line| line.ends_with('\n')) {
            assert!(line.contains("the origin is not in the app's list"), "{line}");
            return line.to_owned();
        }
        assert!(start.elapsed() < PATIENCE, "nothing was logged of {header:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn r_soketi_816_a_refusal_logs_the_origin_and_the_list() {
    for format in ["text", "json"] {
        let gema = Setup::broadcast()
            .env("REVERB_APP_ALLOWED_ORIGINS", ALLOWED)
            .env("GEMA_LOG_FORMAT", format)
            .start()
            .await;
        for (header, shown) in [
            ("Origin: https://evil.example:81\r\n", "https://evil.example:81"),
            ("Origin: null\r\n", "null"),
            ("Origin: \r\n", ""),
            ("", "(none)"),
        ] {
            let line = refused(&gema, header).await;
            for words in [shown, "shop.example", "https://*.shop.example:8443", "424242"] {
                assert!(line.contains(words), "{words:?} is not in {line:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_origin_cannot_write_lines_or_control_characters_into_the_log() {
    for format in ["text", "json"] {
        let gema = Setup::broadcast()
            .env("REVERB_APP_ALLOWED_ORIGINS", ALLOWED)
            .env("GEMA_LOG_FORMAT", format)
            .start()
            .await;
        // A tab, the C1 control characters "next line" and "control sequence introducer", and one that turns text round.
        let line = refused(&gema, "Origin: https://e\tvil\u{85}\u{9b}31m\u{202e}.example\r\n").await;
        assert!(line.contains("https://e") && line.contains(".example"), "{line:?}");
        let hidden = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!line.trim_end().contains(hidden), "{line:?}");
        let long = format!("Origin: https://{}.example\r\n", "x".repeat(5_000));
        let line = refused(&gema, &long).await;
        assert!(line.len() < 1_000, "{} bytes were logged", line.len());
    }
}
