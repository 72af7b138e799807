"""The gain over pretraining, in words."""

from pennylane_qstore.training.warm_start import WarmStartReport


def test_the_report_says_what_was_added_and_where_it_was_measured():
    report = WarmStartReport(5, 120.5, {"loss": 0.5}, {"loss": 0.4}, {"loss": -0.1}, True)
    assert str(report) == "5 steps after pretraining, $120.50: loss 0.5 to 0.4 (-0.1) (exact)"
    assert str(report._replace(exact=False)).endswith("(on the run's backend)")
