"""A gate whose passes have another format from its second version on."""
