"""Based rollups: no builder, the inbox's queue on L1 alone says what each block is."""
