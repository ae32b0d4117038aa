// RingBuffer
