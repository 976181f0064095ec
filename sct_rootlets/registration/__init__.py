"""Registration of a subject's cord to a template by rootlets (or discs), in closed form."""
