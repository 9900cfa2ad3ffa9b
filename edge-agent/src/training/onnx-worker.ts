import { parentPort } from 'node:worker_threads'
import { serveJobs } from './worker/serve-jobs.ts'

const port = parentPort
if (port === null) throw new Error('onnx-worker runs only as a worker thread; start it through OnnxTrainer.')
const serve = serveJobs(
  (report, transfer = []) => port.postMessage(report, transfer),
  // Without an open port nothing keeps the thread alive.
  () => port.close(),
)
port.on('message', serve)
