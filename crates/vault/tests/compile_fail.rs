//! What must not compile: a secret that is shown, written or copied (I4).

#[test]
fn secrets_stay_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
