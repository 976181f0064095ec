"""The page of quality control: its views, and the entries made of them."""
