package bench

import "time"

func (*usage) readOS() {}

func machineCPU() time.Duration { return 0 }
