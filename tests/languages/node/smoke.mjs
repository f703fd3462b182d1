// Streams text, cancels a stream and goes on with it, reads a BadRequest; prints what it saw as JSON.
import grpc from '@grpc/grpc-js'
import protoLoader from '@grpc/proto-loader'

const [address, model, seed, ...includeDirs] = process.argv.slice(2) // the folders of rhapsode/ and of google/
const files = ['rhapsode/v1/text.proto', 'google/rpc/status.proto', 'google/rpc/error_details.proto']
const loaded = protoLoader.loadSync(files, { includeDirs, keepCase: true, longs: String, defaults: true })
const { google, rhapsode } = grpc.loadPackageDefinition(loaded)
const texts = new rhapsode.v1.TextService(address, grpc.credentials.createInsecure())

// The field violations of a status, whose details lie in the trailing metadata.
function violations(error) {
  const [bytes] = error.metadata.get('grpc-status-details-bin')
  const details = bytes ? google.rpc.Status.deserialize(bytes).details : []
  const bad = details.filter((detail) => detail.type_url.endsWith('/google.rpc.BadRequest'))
  return bad.flatMap((detail) => google.rpc.BadRequest.deserialize(detail.value).field_violations)
}

// Reads a stream to its end; cancels it when `enough` tokens have come, and keeps what was under way.
async function read(changes, enough = Infinity) {
  const seen = { started: null, text: '', token_ids: [], code: grpc.status.OK, violations: [] }
  const generation = { model, text: 'ab', seed, ...changes }
  const call = texts.StreamText({ generation }, { deadline: Date.now() + 60_000 })
  try {
    for await (const reply of call) {
      seen.started ??= reply.started
      for (const chunk of reply.chunks) {
        seen.text += chunk.text
        seen.token_ids.push(...chunk.token_ids)
      }
      if (seen.token_ids.length >= enough) call.cancel()
    }
  } catch (error) {
    Object.assign(seen, { code: error.code, violations: violations(error) })
  }
  return seen
}

const whole = await read({ stopping: { max_tokens: 64 } })
const cancelled = await read({ stopping: { max_tokens: 50_000 } }, 8)
const received_token_ids = cancelled.token_ids
const resumed = await read({ stopping: { max_tokens: received_token_ids.length + 64 }, received_token_ids })
const refused = await read({ sampling: { top_p: 1.5 } })
console.log(JSON.stringify({ whole, cancelled, resumed, refused }))
texts.close()
