//! What must not compile: a query without a caller (I5), a handle from nowhere.

#[test]
fn no_query_without_a_caller() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
