Feature: AsyncAPI
  Messages go where the function's connection says; the document is the one that the function pins.

  Scenario: Publish Over HTTP, Subscribe To Server-Sent Events
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: notes-over-http
      version: '1.0.0'
    do:
      - first:
          call: asyncapi
          with:
            document:
              endpoint: https://notes.example/asyncapi.json
            operation: sendNote
            protocol: http
            message:
              payload:
                room: kitchen
                text: milk
      - second:
          call: asyncapi
          with:
            document:
              endpoint: https://notes.example/asyncapi.json
            operation: sendNote
            server:
              name: events
            message:
              payload:
                room: office
                text: paper
      - watch:
          call: asyncapi
          with:
            document:
              endpoint: https://notes.example/asyncapi.json
            operation: watchNotes
            subscription:
              filter: ${ .payload.room == "office" }
              consume:
                amount: 1
          output:
            as: '${ { texts: [ .[].payload.text ], kind: .[0].headers.event } }'
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    texts: [ paper ]
    kind: note
    """

  Scenario: Publish And Subscribe Over A WebSocket
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: notes-over-websocket
      version: '1.0.0'
    do:
      - send:
          call: asyncapi
          with:
            document:
              endpoint: https://notes.example/asyncapi.json
            operation: sendNote
            protocol: ws
            message:
              payload:
                room: attic
                text: boxes
      - sendTheEnd:
          call: asyncapi
          with:
            document:
              endpoint: https://notes.example/asyncapi.json
            operation: sendNote
            protocol: ws
            message:
              payload:
                room: attic
                text: end
      - watch:
          call: asyncapi
          with:
            document:
              endpoint: https://notes.example/asyncapi.json
            operation: watchNotes
            protocol: ws
            subscription:
              filter: ${ .payload.room == "attic" }
              consume:
                until: ${ .payload.text == "end" }
          output:
            as: '${ { texts: [ .[].payload.text ] } }'
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    texts: [ boxes ]
    """

  Scenario: Time Ends A Subscription
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: notes-for-a-while
      version: '1.0.0'
    do:
      - watch:
          call: asyncapi
          with:
            document:
              endpoint: https://notes.example/asyncapi.json
            operation: watchNotes
            subscription:
              filter: ${ .payload.room == "nowhere" }
              consume:
                for:
                  milliseconds: 200
                while: ${ true }
          output:
            as: '${ { count: length } }'
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    count: 0
    """
