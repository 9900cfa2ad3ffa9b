import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Gauge, type Metric } from './prometheus.ts'

const resolutionMillis = 10

/** What the process takes, by the names that dashboards of Node know. Disposing ends the watch of the event loop. */
export const watchProcess = (): Disposable & { readonly metrics: readonly Metric[] } => {
  const delay = monitorEventLoopDelay({ resolution: resolutionMillis })
  delay.enable()
  /** Seconds beyond the sampling interval, since the last reading. */
  const p99 = (): number => {
    const millis = Math.max(0, delay.percentile(99) / 1e6 - resolutionMillis)
    delay.reset()
    return millis / 1000
  }
  const cpu = (): number => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }
  return {
    metrics: [
      new Gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()),
      new Gauge('process_cpu_seconds_total', 'CPU time of all threads.', cpu, 'counter'),
      new Gauge('nodejs_heap_size_used_bytes', 'Heap in use.', () => process.memoryUsage().heapUsed),
      new Gauge('nodejs_external_memory_bytes', 'Memory beside the heap.', () => process.memoryUsage().external),
      new Gauge('nodejs_eventloop_lag_p99_seconds', 'Delay of the event loop since the last reading, 99 of 100.', p99),
    ],
    [Symbol.dispose]: () => void delay.disable(),
  }
}
