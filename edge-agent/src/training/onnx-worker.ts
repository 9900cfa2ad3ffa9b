import { writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { FrameReader } from './channel/frame-reader.ts'
import { FrameWriter } from './channel/frame-writer.ts'
import type { WorkerRequest } from './worker/protocol.ts'
import { serveJobs } from './worker/serve-jobs.ts'

// The process that OnnxTrainer starts: requests come and reports go through the one socket that it leaves here.
const channelDescriptor = 3
/** One chunk, used again and again: read by ordinary events, each would be an allocation that waits for the collector. */
const chunk = Buffer.alloc(64 * 2 ** 10)

// An end signal to the group is for the agent, which then closes the socket.
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => {})
try {
  // When memory runs out the kernel takes this process and spares the agent.
  writeFileSync('/proc/self/oom_score_adj', '500')
} catch {
  // Not Linux, or not allowed.
}

// What cannot be sent has no reader any more, and the socket's end is handled below.
const serve = serveJobs(report => writer.write(report).catch(() => {}))
const reader = new FrameReader(
  message => serve(message as WorkerRequest),
  () => Number.POSITIVE_INFINITY,
)
const channel = new Socket({
  fd: channelDescriptor,
  onread: {
    buffer: chunk,
    callback: bytes => {
      reader.push(chunk.subarray(0, bytes))
      return true
    },
  },
})
const writer = new FrameWriter(channel)
channel.on('error', () => {})
// Nobody waits any more, whoever closed it. Memory is all that is held here, so nothing needs tidying up.
channel.on('close', () => process.kill(process.pid, 'SIGKILL'))
channel.resume()
