Feature: OpenAPI
  What the kit leaves out about calls by a description.

  Scenario: An Order With A Body
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: an-order-with-a-body
      version: '1.0.0'
    do:
      - order:
          call: openapi
          with:
            document:
              endpoint: https://services.example/shop/openapi.json
            operationId: placeOrder
            parameters:
              shelf: ${ .shelf }
              tags: [ a, b ]
              body:
                amount: ${ .amount }
    """
    And given the workflow input is:
    """yaml
    shelf: top left
    amount: 3
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    shelf: top%20left
    query: tags=a,b
    order:
      amount: 3
    """

  Scenario: An Operation That Is Not Described
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: an-operation-that-is-not-described
      version: '1.0.0'
    do:
      - order:
          call: openapi
          with:
            document:
              endpoint: https://services.example/shop/openapi.json
            operationId: emptyTheTill
    """
    When the workflow is executed
    Then the workflow should be rejected because of 'no operation'

  Scenario: A Description That Nobody Registered
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-description-that-nobody-registered
      version: '1.0.0'
    do:
      - order:
          call: openapi
          with:
            document:
              endpoint: https://services.example/other/openapi.json
            operationId: placeOrder
    """
    When the workflow is executed
    Then the workflow should be rejected because of 'no function'

  Scenario: A Parameter That Is Not Described
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-parameter-that-is-not-described
      version: '1.0.0'
    do:
      - order:
          call: openapi
          with:
            document:
              endpoint: https://petstore.swagger.io/v2/swagger.json
            operationId: getPetById
            parameters:
              petId: 1
              admin: true
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/configuration
    """

  Scenario: A Parameter That Would Lead Elsewhere
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-parameter-that-would-lead-elsewhere
      version: '1.0.0'
    do:
      - order:
          call: openapi
          with:
            document:
              endpoint: https://petstore.swagger.io/v2/swagger.json
            operationId: getPetById
            parameters:
              petId: ${ .id }
    """
    And given the workflow input is:
    """yaml
    id: '..'
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/configuration
    """
