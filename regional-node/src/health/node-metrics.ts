import { Counter } from './prometheus.ts'

/** What a node counts. */
export const createNodeMetrics = () => ({
  updates: new Counter('tributary_updates_total', 'Updates that got their final verdict: accepted, empty or invalid.'),
  verdicts: new Counter('tributary_push_verdicts_total', 'Answers to PushUpdate by verdict.'),
  uploadedBytes: new Counter('tributary_uploaded_bytes_total', 'Bytes of update bodies received.'),
  downloadedBytes: new Counter('tributary_downloaded_bytes_total', 'Bytes of models sent to devices.'),
  calls: new Counter('tributary_grpc_calls_total', 'Calls of devices by method and gRPC status.'),
  commands: new Counter('tributary_commands_total', 'Commands of central by type; poison: dead-lettered.'),
  events: new Counter('tributary_events_total', 'Events confirmed by the broker, by type.'),
  folds: new Counter('tributary_folds_total', 'Sums put on disk in place of the updates that are in them.'),
  notices: new Counter('tributary_notices_total', 'Notices to devices by kind and way.'),
})
export type NodeMetrics = ReturnType<typeof createNodeMetrics>
