//! Server-sent events (HTML standard §9.2), read as the bytes come.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServerEvent {
    pub(super) data: Vec<u8>,
    pub(super) event: String,
    pub(super) id: String,
}

/// The reader: lines, and the event they make.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    data: Option<Vec<u8>>,
    event: String,
    id: String,
}

impl Events {
    /// Takes bytes; gives the events they complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<ServerEvent> {
        let mut found = Vec::new();
        for byte in bytes {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    found.extend(self.end_line());
                }
                other => self.line.push(*other),
            }
        }
        found
    }

    /// Bytes of an event that is not complete.
    pub(super) fn held(&self) -> usize {
        self.line.len().saturating_add(self.data.as_ref().map_or(0, Vec::len))
    }

    fn end_line(&mut self) -> Option<ServerEvent> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return self.data.take().map(|data| ServerEvent { data, event, id: self.id.clone() });
        }
        let at = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(at.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => self.id = String::from_utf8_lossy(value).into_owned(),
            // Comments, `retry`, and names that nobody knows.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &[u8] = b"\xef\xbb\xbf: hello\r\ndata: {\"a\":1}\r\n\r\nid: 7\nevent: note\ndata:two\ndata: lines\n\nevent: none\n\nretry: 5\rdata\r\rdata: cut";

    fn texts(events: &[ServerEvent]) -> Vec<(String, &str, &str)> {
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        events.iter().map(|e| (text(&e.data), e.event.as_str(), e.id.as_str())).collect()
    }

    #[test]
    fn events_are_read_by_the_standard() {
        let found = Events::default().feed(STREAM);
        let wanted =
            [("{\"a\":1}".to_owned(), "", ""), ("two\nlines".to_owned(), "note", "7"), (String::new(), "", "7")];
        assert_eq!(texts(&found), wanted);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_makes_no_difference(cuts in proptest::collection::vec(0..STREAM.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut events, mut found, mut from) = (Events::default(), Vec::new(), 0);
            for cut in cuts {
                found.extend(events.feed(&STREAM[from..cut]));
                from = cut;
            }
            found.extend(events.feed(&STREAM[from..]));
            prop_assert_eq!(found, Events::default().feed(STREAM));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut events = Events::default();
            let data: usize = events.feed(&bytes).iter().map(|e| e.data.len()).sum();
            prop_assert!(data.saturating_add(events.held()) <= bytes.len());
        }
    }
}
