import { openParentPort } from '../processes/parent-port.ts'
import type { ModelReport, ModelRequest } from './worker/protocol.ts'
import { serveModel } from './worker/serve-model.ts'

const { take, close } = serveModel(report => port.post(report))
const port = openParentPort<ModelRequest, ModelReport>(take, close)
