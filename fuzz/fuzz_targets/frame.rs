//! Any bytes as what a child says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mandate_sandbox::frame;

fuzz_target!(|bytes: &[u8]| {
    const MOST: usize = 256;
    if let Ok(Some(body)) = frame::read(&mut &bytes[..], MOST) {
        assert!(body.len() <= MOST);
        let mut again = Vec::new();
        frame::write(&mut again, &body, MOST).expect("what was read can be written");
        assert!(bytes.starts_with(&again));
    }
    for expressions in 0..3 {
        if let Some(Ok(values)) = frame::parse_answer(bytes, expressions) {
            assert_eq!(values.len(), expressions);
        }
    }
    let _ = frame::parse_request(bytes);
});
