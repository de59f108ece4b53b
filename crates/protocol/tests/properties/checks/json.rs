//! A strict reader of JSON (RFC 8259) that shares nothing with serde: the judge of what may be accepted.

/// Is this text one JSON object?
pub(crate) fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') && is_json(text)
}

/// Is this text JSON? Without recursion, so that depth is no matter.
pub(crate) fn is_json(text: &str) -> bool {
    let mut reader = Reader(text.as_bytes());
    reader.value().is_some() && reader.0.is_empty()
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// One value and the space around it.
    fn value(&mut self) -> Option<()> {
        let mut open = Vec::new();
        loop {
            self.space();
            if self.takes(b'[') {
                self.space();
                if !self.takes(b']') {
                    open.push(b']');
                    continue;
                }
            } else if self.takes(b'{') {
                self.space();
                if !self.takes(b'}') {
                    self.name()?;
                    open.push(b'}');
                    continue;
                }
            } else {
                self.scalar()?;
            }
            if self.ends(&mut open)? {
                return Some(());
            }
        }
    }

    /// What follows a value: the end of everything (true), or the place of the next value.
    fn ends(&mut self, open: &mut Vec<u8>) -> Option<bool> {
        loop {
            self.space();
            let Some(close) = open.last().copied() else { return Some(true) };
            if self.takes(b',') {
                self.space();
                if close == b'}' {
                    self.name()?;
                }
                return Some(false);
            }
            self.takes(close).then(|| open.pop())?;
        }
    }

    fn name(&mut self) -> Option<()> {
        self.string()?;
        self.space();
        self.takes(b':').then_some(())
    }

    fn scalar(&mut self) -> Option<()> {
        match self.0.first()? {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            _ => ["true", "false", "null"].iter().find_map(|word| {
                self.0 = self.0.strip_prefix(word.as_bytes())?;
                Some(())
            }),
        }
    }

    fn string(&mut self) -> Option<()> {
        self.takes(b'"').then_some(())?;
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            self.next()?.is_ascii_hexdigit().then_some(())?;
                        }
                    }
                    _ => return None,
                },
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _signed = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.0 = &self.0[count..];
        (count > 0).then_some(())
    }

    fn space(&mut self) {
        let count = self.0.iter().take_while(|byte| b" \t\n\r".contains(byte)).count();
        self.0 = &self.0[count..];
    }

    fn takes(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        self.0 = &self.0[usize::from(found)..];
        found
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}
