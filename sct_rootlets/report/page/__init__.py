"""The page of quality control: views of a subject's levels, and the entries that hold them."""
