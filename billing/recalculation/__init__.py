"""Recalculation: what closed months should have been, deductions and days away."""
