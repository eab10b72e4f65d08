//! Every forgery is refused by the compiler, with the very words that lie beside it.

#[test]
fn forgeries_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*/*.rs");
}
