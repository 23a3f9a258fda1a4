//! Figures of the store beside the budgets of the design.

fn main() {
    divan::main();
}
