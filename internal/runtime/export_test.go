package runtime

// CollectPercent is collectPercent.
func CollectPercent(live uint64) int { return collectPercent(live) }
